internal import Journal
internal import Queueing
internal import Records
internal import Stages

extension QueueVerbs {
    func publish(_ call: ControlCall) throws(ControlFailure) {
        let name = try call.required("queue")
        let template = try Self.message(call)
        let queue = try Self.translate { () throws(QueueError) in try store.queue(name) }
        defer { published() }
        guard call.flag("stream") else {
            var message = template
            message.payload = Array((call.text("payload") ?? "").utf8)
            let published = try Self.translate { () throws(QueueError) in
                try store.publish(message, to: queue)
            }
            call.output.line(
                Record([
                    Field("id", .string(published.id)),
                    Field("duplicate", .boolean(published.isDuplicate)),
                ]))
            return
        }
        var stream = PublishStream(self, call, queue, template)
        try Self.translate { () throws(QueueError) in try stream.run() }
        if stream.refused > 0 {
            throw ControlFailure(1, "\(stream.refused) messages were refused; see their lines")
        }
    }

    /// A message with everything but its payload.
    private static func message(_ call: ControlCall) throws(ControlFailure) -> NewMessage {
        var message = NewMessage([])
        if let priority = call.integer("priority") {
            guard (0...9).contains(priority) else {
                throw ControlFailure(2, "a priority is 0 to 9, not \(priority)")
            }
            message.priority = UInt8(priority)
        }
        message.id = call.text("id")
        message.orderingKey = call.text("key")
        message.correlation = call.text("correlation")
        message.delay = milliseconds(call, "delay") ?? 0
        message.ttl = milliseconds(call, "ttl")
        if let text = call.text("at") {
            guard let time = TimeText.microseconds(text) else {
                throw ControlFailure(
                    2, "\"\(text)\" is no RFC 3339 time, such as 2026-11-23T15:00:00Z")
            }
            message.at = time
        }
        if case .object(let headers)? = call.arguments["headers"] {
            message.headers = headers.map { Header($0.name, $0.value.text) }
        }
        return message
    }
}

/// Publishes lines as they come: what came together is one transaction, or every `batch` lines are.
/// Each line is answered when it is as durable as its queue says.
private struct PublishStream<Place: Disk> {
    private let verbs: QueueVerbs<Place>
    private let call: ControlCall
    private let queue: QueueHandle
    private var message: NewMessage
    private let batch: Int?
    private var lines: [(number: Int, payload: [UInt8])] = []
    private var lineNumber = 0
    private var partial: [UInt8] = []
    private(set) var refused = 0

    init(
        _ verbs: QueueVerbs<Place>, _ call: ControlCall, _ queue: QueueHandle,
        _ template: NewMessage
    ) {
        self.verbs = verbs
        self.call = call
        self.queue = queue
        message = template
        batch = call.integer("batch")
    }

    mutating func run() throws(QueueError) {
        while let bytes = call.input.read() {
            take(bytes)
            if let batch {
                while lines.count >= batch { try publish(batch) }
            } else {
                try publish(lines.count)
            }
            // Nobody reads what would be acknowledged.
            if call.output.isBroken { throw QueueError(.other, "") }
        }
        if !partial.isEmpty { endLine() }
        while !lines.isEmpty { try publish(min(lines.count, batch ?? lines.count)) }
    }

    private mutating func take(_ bytes: [UInt8]) {
        var start = 0
        while let end = bytes[start...].firstIndex(of: 0x0A) {
            partial += bytes[start..<end]
            start = end + 1
            endLine()
        }
        partial += bytes[start...]
    }

    private mutating func endLine() {
        lineNumber += 1
        if !partial.isEmpty { lines.append((lineNumber, partial)) }
        partial.removeAll(keepingCapacity: true)
    }

    private mutating func publish(_ count: Int) throws(QueueError) {
        guard count > 0 else { return }
        var answers: [Result<Published, QueueError>] = []
        answers.reserveCapacity(count)
        let part = lines.prefix(count)
        var message = message
        let queue = queue
        let (_, sequence) = try verbs.store.commit { (transaction) throws(QueueError) in
            answers.removeAll(keepingCapacity: true)
            for line in part {
                message.payload = line.payload
                do throws(QueueError) {
                    answers.append(.success(try transaction.publish(message, to: queue)))
                } catch {
                    // One that is refused planned nothing, so the others go on.
                    answers.append(.failure(error))
                }
            }
        }
        try verbs.store.wait(for: sequence, queue)
        for (line, answer) in zip(part, answers) {
            switch answer {
            case .success(let published):
                var text: [UInt8] = Array("{\"id\":".utf8)
                text.appendJSONString(published.id)
                text += ",\"line\":\(line.number)".utf8
                if published.isDuplicate { text += ",\"duplicate\":true".utf8 }
                text.append(0x7D)
                call.output.line(text)
            case .failure(let error):
                refused += 1
                let words = error.code == .full ? "queue full" : error.description
                call.output.line(
                    Record([
                        Field("line", .integer(Int64(line.number))), Field("error", .string(words)),
                    ]))
            }
        }
        call.output.flush()
        lines.removeFirst(count)
        try verbs.store.keepUp()
    }
}
