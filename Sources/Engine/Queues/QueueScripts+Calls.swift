internal import Connecting
public import Definitions
public import Queueing
internal import Records

/// What queues ask, in their own words.
extension QueueScripts {
    /// How long a message waits, as the function `retry` of a file says.
    func retry(_ file: String, fallback: String) -> RetryFunction {
        RetryFunction { [self] message, failure in
            let input = ScriptMessage.json(
                message,
                and: [
                    Field("attempt", .integer(Int64(message.attempt))),
                    Field("error", .string(failure.error.isEmpty ? failure.reason : failure.error)),
                ])
            let name = Name(file: file, text: nil, function: .retry)
            switch result(of: call(name, input)) {
            case .failure(let problem):
                report(problem.message, then: "the message waits as the policy says: \(fallback)")
                return .unknown
            case .success(nil): return .dead
            case .success(.some(let value)):
                if let wait = Self.milliseconds(value) { return .wait(wait) }
                report(
                    "\(file): retry returned \(value.text.prefix(100)): it returns seconds, a "
                        + "duration such as \"10s\", or nil for dead",
                    then: "the message waits as the policy says: \(fallback)")
                return .unknown
            }
        }
    }

    /// True when the function `match` of a file takes a message; one that fails does not.
    func match(_ file: String) -> @Sendable (NewMessage) throws -> Bool {
        { [self] message in
            let name = Name(file: file, text: nil, function: .match)
            switch result(of: call(name, ScriptMessage.json(message))) {
            case .failure(let problem):
                report(problem.message, then: "the route does not take the message")
                throw problem
            case .success(let value): return value == .boolean(true)
            }
        }
    }

    /// What a redrive makes of a message: those that the expression `filter` is true for go back,
    /// with the payload that the function `map` of a text gives them. The first failure is kept.
    /// Throws when one of the two cannot be loaded.
    public func redriveRule(
        filter: String?, map: (file: String, text: [UInt8])?
    ) throws(PipelineError) -> RedriveRule {
        let rule = RedriveRule()
        let match = filter.map { expression in
            let text =
                "function match(message) local payload = message.payload return ("
                + expression + "\n) end"
            return Name(file: "--where", text: Array(text.utf8), function: .match)
        }
        let mapping = map.map { Name(file: $0.file, text: $0.text, function: .map) }
        for name in [match, mapping].compactMap({ $0 }) {
            if case .failed(let problem) = call(name, nil) {
                throw PipelineError(exitCode: 2, problem)
            }
        }
        rule.choose = { [self, unowned rule] message in
            let input = ScriptMessage.json(message, and: [])
            if let match {
                switch result(of: call(match, input)) {
                case .failure(let problem): return rule.note(problem.message, message)
                case .success(.boolean(true)): break
                case .success: return .stay
                }
            }
            guard let mapping else { return .move }
            switch call(mapping, input) {
            case .failed(let problem): return rule.note(problem, message)
            case .row(nil): return .drop
            case .row(.some(let row)):
                guard let payload = ScriptMessage.payload(row, of: message) else {
                    return rule.note("\(mapping.file): map left no payload", message)
                }
                return payload == message.payload ? .move : .change(payload)
            }
        }
        return rule
    }

    struct Problem: Error { var message: String }

    private func result(of answer: Answer) -> Result<Value?, Problem> {
        switch answer {
        case .failed(let message): return .failure(Problem(message: message))
        case .row(nil): return .success(nil)
        case .row(.some(let row)): return .success((try? Record(json: row))?["result"])
        }
    }

    private static func milliseconds(_ value: Value) -> Int64? {
        if case .string(let text) = value { return parseDuration(text).map { $0 / 1_000_000 } }
        guard let seconds = value.double, seconds >= 0, seconds <= 3.2e9 else { return nil }
        return Int64((seconds * 1000).rounded())
    }
}

/// Decides about messages of a redrive, and remembers what failed. One thread.
public final class RedriveRule {
    /// What becomes of a message.
    public fileprivate(set) var choose: (Message) -> RedriveChoice = { _ in .move }
    /// Messages that a script failed on; they stay where they are.
    public private(set) var failures = 0
    /// What was said about the first of them.
    public private(set) var firstFailure: String?

    fileprivate func note(_ problem: String, _ message: Message) -> RedriveChoice {
        failures += 1
        if firstFailure == nil { firstFailure = "\(problem) (message \(message.id))" }
        return .stay
    }
}

/// A message as scripts see it.
enum ScriptMessage {
    /// `{"message": {…}, …}` of a message in a queue.
    static func json(_ message: Message, and others: [Field]) -> [UInt8] {
        var fields = [
            Field("id", .string(message.id)), Field("queue", .string(message.queue)),
            Field("attempt", .integer(Int64(message.attempt))),
        ]
        if let history = message.history {
            if let reason = history.reason { fields.append(Field("reason", .string(reason))) }
            if let source = history.sourceQueue {
                fields.append(Field("source_queue", .string(source)))
            }
            let attempts = history.attempts.map { attempt -> Value in
                .object([
                    Field("n", .integer(Int64(attempt.number))),
                    Field("reason", .string(attempt.reason)),
                    Field("error", .string(attempt.error)),
                ])
            }
            fields.append(Field("attempts", .array(attempts)))
        }
        return json(
            fields
                + common(
                    message.headers, message.priority, message.correlation,
                    message.orderingKey), message.payload, others)
    }

    /// The same of a message that is to be published.
    static func json(_ message: NewMessage) -> [UInt8] {
        let id = message.id.map { [Field("id", .string($0))] } ?? []
        return json(
            id
                + common(
                    message.headers, message.priority, message.correlation,
                    message.orderingKey), message.payload, [])
    }

    private static func common(
        _ headers: [Header], _ priority: UInt8, _ correlation: String?, _ key: String?
    ) -> [Field] {
        var fields = [
            Field("headers", .object(headers.map { Field($0.name, .string($0.value)) })),
            Field("priority", .integer(Int64(priority))),
        ]
        if let correlation { fields.append(Field("correlation", .string(correlation))) }
        if let key { fields.append(Field("key", .string(key))) }
        return fields
    }

    /// The payload goes in as it is, so that a script which leaves it alone changes no byte.
    private static func json(
        _ fields: [Field], _ payload: [UInt8], _ others: [Field]
    ) -> [UInt8] {
        var bytes = Array("{\"message\":".utf8)
        bytes += Value.object(fields).json.dropLast()
        bytes += ",\"payload\":".utf8
        bytes += isJSON(payload) ? payload : Value.string(text(payload)).json
        bytes += "}".utf8
        for field in others {
            bytes += ",".utf8
            bytes += Value.string(field.name).json
            bytes += ":".utf8
            bytes += field.value.json
        }
        return bytes + "}\n".utf8
    }

    /// The payload in `{"result":PAYLOAD}`, byte for byte; nil when there is none.
    static func payload(_ row: [UInt8], of message: Message) -> [UInt8]? {
        let start = Array("{\"result\":".utf8)
        guard row.starts(with: start), row.last == 0x7D else { return nil }
        let payload = Array(row[start.count..<(row.count - 1)])
        if isJSON(message.payload) { return payload }
        // What is no JSON was shown as a text, and is a text again.
        var reader = JSONReader(payload)
        guard case .string(let text)? = try? reader.readDocument() else { return payload }
        return text == Self.text(message.payload) ? message.payload : Array(text.utf8)
    }

    private static func text(_ payload: [UInt8]) -> String {
        String(decoding: payload, as: UTF8.self)
    }

    private static func isJSON(_ bytes: [UInt8]) -> Bool {
        guard !bytes.contains(0x0A), !bytes.contains(0x0D) else { return false }
        var reader = JSONReader(bytes)
        return (try? reader.readDocument()) != nil
    }
}
