/// Which queues a message goes to, by its routing key, its headers, or what it says.
public struct Router: Sendable {
    /// What a message must be like.
    public enum Rule: Sendable {
        /// Its routing key is this one.
        case direct(String)
        /// Its routing key fits words parted by dots: `*` is one word, `#` or `>` any number.
        case topic(String)
        /// All of these hold for its headers.
        case allHeaders([HeaderRule])
        /// One of these holds for its headers.
        case anyHeader([HeaderRule])
        /// A function says so. One that throws does not match, and is counted.
        case content(@Sendable (NewMessage) throws -> Bool)
        /// Every message.
        case everything
    }

    /// What must hold for one header.
    public enum HeaderRule: Sendable, Hashable {
        /// It has this value.
        case equals(String, String)
        /// It is there.
        case exists(String)
        /// It is a number within these bounds.
        case range(String, ClosedRange<Double>)
    }

    private var rules: [(rule: Rule, queue: QueueHandle)] = []
    /// Where a message goes that no rule wants; nil to refuse it.
    public var alternate: QueueHandle?

    /// No rules.
    public init() {}

    /// Adds a rule; a queue may have several.
    public mutating func add(_ rule: Rule, to queue: QueueHandle) { rules.append((rule, queue)) }

    /// The queues a message goes to, each once, in the order of the rules; and how many functions
    /// threw.
    public func targets(
        of message: NewMessage, routingKey: String
    ) -> (queues: [QueueHandle], failures: Int) {
        var queues: [QueueHandle] = []
        var failures = 0
        for (rule, queue) in rules where !queues.contains(queue) {
            do {
                if try Self.matches(rule, message, routingKey) { queues.append(queue) }
            } catch { failures += 1 }
        }
        if queues.isEmpty, let alternate { queues = [alternate] }
        return (queues, failures)
    }

    private static func matches(
        _ rule: Rule, _ message: NewMessage, _ routingKey: String
    ) throws -> Bool {
        switch rule {
        case .direct(let key): return key == routingKey
        case .topic(let pattern): return matches(topic: pattern, routingKey)
        case .allHeaders(let rules): return rules.allSatisfy { holds($0, message.headers) }
        case .anyHeader(let rules): return rules.contains { holds($0, message.headers) }
        case .content(let function): return try function(message)
        case .everything: return true
        }
    }

    private static func holds(_ rule: HeaderRule, _ headers: [Header]) -> Bool {
        switch rule {
        case .equals(let name, let value):
            return headers.contains { $0.name == name && $0.value == value }
        case .exists(let name): return headers.contains { $0.name == name }
        case .range(let name, let bounds):
            return headers.contains { header in
                header.name == name && Double(header.value).map(bounds.contains) == true
            }
        }
    }

    /// True when a routing key fits a pattern. Linear in both, whatever the pattern.
    static func matches(topic pattern: String, _ routingKey: String) -> Bool {
        let words = pattern.split(separator: ".", omittingEmptySubsequences: false)
        let key = routingKey.split(separator: ".", omittingEmptySubsequences: false)
        // Which beginnings of the pattern fit what was read so far.
        var fits = [Bool](repeating: false, count: words.count + 1)
        fits[0] = true
        func isRest(_ word: Substring) -> Bool { word == "#" || word == ">" }
        func skipRests() {
            for (index, word) in words.enumerated() where fits[index] && isRest(word) {
                fits[index + 1] = true
            }
        }
        skipRests()
        for part in key {
            var next = [Bool](repeating: false, count: words.count + 1)
            for (index, word) in words.enumerated() where fits[index] {
                if isRest(word) {
                    next[index] = true
                } else if word == "*" || word == part {
                    next[index + 1] = true
                }
            }
            fits = next
            skipRests()
        }
        return fits[words.count]
    }
}

extension Transaction {
    /// Publishes a message to every queue that wants it; its bytes are in the log once. Throws when
    /// no queue wants it, or when one of them does not take it: then none has it.
    @discardableResult
    public mutating func publish(
        _ message: borrowing NewMessage, routingKey: String, with router: Router
    ) throws(QueueError) -> [Published] {
        let targets = router.targets(of: copy message, routingKey: routingKey).queues
        guard !targets.isEmpty else {
            throw QueueError(
                .misuse, "no queue takes the routing key \"\(routingKey)\"; add a rule for it")
        }
        return try publish(message, to: targets)
    }
}
