internal import Journal

/// What happened to a message before: its deliveries, and how it came to be dead.
public struct MessageHistory: Sendable, Hashable {
    /// One delivery that failed.
    public struct Attempt: Sendable, Hashable {
        /// Which one, from 1.
        public var number: Int
        /// `failed`, `rejected`, `lease_expired`, `poison` …
        public var reason: String
        /// The holder's words.
        public var error: String
        /// When it began and ended, in milliseconds since 1970.
        public var startedAt: Int64
        /// When it ended.
        public var endedAt: Int64
        /// Where it failed, as the rule's language tells it.
        public var traceback: String?
        /// The version of the rules that failed.
        public var ruleSet: String?

        /// Notes a delivery.
        package init(number: Int, reason: String, error: String, startedAt: Int64, endedAt: Int64) {
            self.number = number
            self.reason = reason
            self.error = error
            self.startedAt = startedAt
            self.endedAt = endedAt
        }
    }

    /// Why it is dead; nil while it is not.
    public var reason: String?
    /// The queue it died in.
    public var sourceQueue: String?
    /// When it died, in milliseconds since 1970.
    public var deadAt: Int64?
    /// How often it went back.
    public var redrives = 0
    /// The first delivery and the last nine.
    public var attempts: [Attempt] = []

    /// Nothing happened yet.
    package init() {}

    /// The longest text kept of an error or a traceback, in bytes.
    static let textLimit = 4096

    /// Adds a delivery; of many, the first and the last nine stay.
    mutating func add(_ attempt: Attempt) {
        var kept = attempt
        kept.error = Self.cut(kept.error)
        kept.traceback = kept.traceback.map(Self.cut)
        attempts.append(kept)
        if attempts.count > 10 { attempts.remove(at: 1) }
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > textLimit else { return text }
        return String(decoding: text.utf8.prefix(textLimit - 3), as: UTF8.self) + "…"
    }

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.put(text: reason)
        bytes.put(text: sourceQueue)
        bytes.put(deadAt ?? Int64.min)
        bytes.put(UInt32(redrives))
        bytes.put(UInt8(attempts.count))
        for attempt in attempts {
            bytes.put(UInt32(attempt.number))
            bytes.put(attempt.startedAt)
            bytes.put(attempt.endedAt)
            bytes.put(text: attempt.reason)
            bytes.put(text: attempt.error)
            bytes.put(text: attempt.traceback)
            bytes.put(text: attempt.ruleSet)
        }
        return bytes
    }

    /// Reads what `encoded` wrote; nil when it is something else.
    init?(_ reader: inout EntryReader) {
        reason = reader.text()
        sourceQueue = reader.text()
        let dead = reader.integer(Int64.self)
        deadAt = dead == .min ? nil : dead
        redrives = Int(reader.integer(UInt32.self))
        for _ in 0..<reader.integer(UInt8.self) {
            let number = Int(reader.integer(UInt32.self))
            let startedAt = reader.integer(Int64.self)
            let endedAt = reader.integer(Int64.self)
            var attempt = Attempt(
                number: number, reason: reader.text() ?? "", error: reader.text() ?? "",
                startedAt: startedAt, endedAt: endedAt)
            attempt.traceback = reader.text()
            attempt.ruleSet = reader.text()
            attempts.append(attempt)
        }
        if reader.isBroken { return nil }
    }
}
