internal import Connecting
internal import Journal
internal import Queueing
internal import Records

extension QueueVerbs {
    func publish(_ call: ControlCall) throws(ControlFailure) {
        let name = try call.required("queue")
        let template = try Self.message(call)
        let target = try Self.translate { () throws(QueueError) in
            try store.target(name, among: exchanges)
        }
        if case .queue = target, call.text("topic") != nil {
            throw ControlFailure(
                2, "\"\(name)\" is a queue; --topic goes with the exchanges of pipeline.yaml")
        }
        defer { published() }
        guard call.flag("stream") else {
            var message = template
            message.payload = Array((call.text("payload") ?? "").utf8)
            try publish(message, to: target, call)
            return
        }
        var stream = PublishStream(self, call, target, template)
        try Self.translate { () throws(QueueError) in try stream.run() }
        if stream.refused > 0 {
            throw ControlFailure(1, "\(stream.refused) messages were refused; see their lines")
        }
    }

    /// One message; the answer names the queues when an exchange chose them.
    private func publish(
        _ message: NewMessage, to target: PublishTarget, _ call: ControlCall
    ) throws(ControlFailure) {
        try Self.translate { () throws(QueueError) in
            let queues = try target.queues(for: message, topic: call.text("topic"))
            let (published, sequence) = try store.commit { (transaction) throws(QueueError) in
                try transaction.publish(message, to: queues)
            }
            try store.wait(for: sequence, queues)
            guard let first = published.first else { return }
            var answer = [
                Field("id", .string(first.id)),
                Field("duplicate", .boolean(published.allSatisfy(\.isDuplicate))),
            ]
            if published.contains(where: \.isReplacement) {
                answer.append(Field("replaced", .boolean(true)))
            }
            let levels = Set(queues.map { store.settings(of: $0).durability.name })
            if levels.count == 1 { answer += levels.map { Field("durability", .string($0)) } }
            if case .exchange = target {
                let places = zip(queues, published).map { queue, published in
                    Field(store.settings(of: queue).name, .string(published.id))
                }
                answer.append(Field("queues", .object(places)))
            }
            call.output.line(Record(answer))
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
        message.delivery = call.text("delivery").flatMap(QueueDelivery.init)
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
    private let target: PublishTarget
    private var message: NewMessage
    private let topic: String?
    private let batch: Int?
    private var lines: [(number: Int, payload: [UInt8])] = []
    private var lineNumber = 0
    private var partial: [UInt8] = []
    /// What each answer says of it; nothing where queues may differ.
    private var durability: [UInt8] = []
    private(set) var refused = 0

    init(
        _ verbs: QueueVerbs<Place>, _ call: ControlCall, _ target: PublishTarget,
        _ template: NewMessage
    ) {
        self.verbs = verbs
        self.call = call
        self.target = target
        topic = call.text("topic")
        message = template
        batch = call.integer("batch")
        if case .queue(let queue) = target {
            let name = verbs.store.settings(of: queue).durability.name
            durability = Array(",\"durability\":\"\(name)\"".utf8)
        }
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
        let places = part.map(places)
        var message = message
        let (_, sequence) = try verbs.store.commit { (transaction) throws(QueueError) in
            answers.removeAll(keepingCapacity: true)
            for (line, place) in zip(part, places) {
                message.payload = line.payload
                do throws(QueueError) {
                    answers.append(.success(try place.publish(message, &transaction)))
                } catch {
                    // One that is refused planned nothing, so the others go on.
                    answers.append(.failure(error))
                }
            }
        }
        for queue in Self.queues(places) { try verbs.store.wait(for: sequence, queue) }
        for (line, answer) in zip(part, answers) {
            switch answer {
            case .success(let published):
                var text: [UInt8] = Array("{\"id\":".utf8)
                text.appendJSONString(published.id)
                text += ",\"line\":\(line.number)".utf8
                if published.isDuplicate { text += ",\"duplicate\":true".utf8 }
                text += durability
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

    /// Where a line goes; an error when no route takes it.
    private func places(_ line: (number: Int, payload: [UInt8])) -> Places {
        if case .queue(let queue) = target { return .one(queue) }
        var message = message
        message.payload = line.payload
        do throws(QueueError) {
            return .several(try target.queues(for: message, topic: topic))
        } catch { return .none(error) }
    }

    private static func queues(_ places: [Places]) -> Set<QueueHandle> {
        var queues: Set<QueueHandle> = []
        for place in places {
            switch place {
            case .one(let queue): queues.insert(queue)
            case .several(let several): queues.formUnion(several)
            case .none: break
            }
        }
        return queues
    }
}

/// Where a line is published to.
private enum Places {
    case one(QueueHandle)
    case several([QueueHandle])
    case none(QueueError)

    func publish(
        _ message: borrowing NewMessage, _ transaction: inout Transaction
    ) throws(QueueError) -> Published {
        switch self {
        case .one(let queue): return try transaction.publish(message, to: queue)
        case .several(let queues):
            let published = try transaction.publish(message, to: queues)
            guard let first = published.first else {
                throw QueueError(.unroutable, "no queue takes the message")
            }
            return first
        case .none(let error): throw error
        }
    }
}
