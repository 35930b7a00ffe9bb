package import Journal

/// What happens to a message that comes to a full queue.
public enum Overflow: String, Sendable, Hashable, CaseIterable {
    /// The publisher waits, where it can; otherwise as `reject`.
    case block
    /// The message is refused.
    case reject
    /// The oldest waiting message is dead-lettered to make room.
    case dropOldest = "drop-oldest"
}

/// What a queue promises about one message.
public enum QueueDelivery: String, Sendable, Hashable, CaseIterable {
    /// It is gone, durably, before it is handed over: never twice, perhaps never.
    case atMostOnce = "at_most_once"
    /// It is leased and comes back until it is acknowledged: perhaps twice.
    case atLeastOnce = "at_least_once"
    /// As `at_least_once`; what a pipeline does with it in the same store happens exactly once.
    case exactlyOnce = "exactly_once"
}

/// What becomes of a message whose id is known.
public enum DuplicatePolicy: String, Sendable, Hashable, CaseIterable {
    /// It is not added.
    case ignore
    /// It takes the place of the first one, as long as that waits for its time.
    case replaceIfScheduled = "replace_if_scheduled"
}

/// When a message of a queue counts as kept.
public enum QueueDurability: Sendable, Hashable {
    /// After it is on the disk. Only this is called durable.
    case disk
    /// At once; on the disk within so many milliseconds.
    case within(milliseconds: Int)
    /// When the system has it.
    case osCache
    /// Never written: it goes with the process.
    case memory

    /// The journal's word for it, or nil for `memory`.
    package var journal: Durability? {
        switch self {
        case .disk: .disk
        case .within(let milliseconds): .within(milliseconds: milliseconds)
        case .osCache: .osCache
        case .memory: nil
        }
    }

    /// How it is written in settings and answers.
    public var name: String {
        switch self {
        case .disk: "disk"
        case .within(let milliseconds): "disk-within: \(milliseconds)ms"
        case .osCache: "os-cache"
        case .memory: "memory"
        }
    }
}

/// What a queue is told when it is declared. Durations are milliseconds, sizes bytes.
public struct QueueSettings: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// How many messages it holds, whatever their state.
    public var maxSize = 1_000_000
    /// What happens when it is full.
    public var overflow = Overflow.block
    /// How long a message lives from publishing on; nil for ever.
    public var messageTTL: Int64?
    /// How often a message is delivered before it is dead; nil for no limit.
    public var maxAttempts: Int? = 20
    /// How often in a row a message must have been alone in the process that died before it is dead
    /// as poison; 1 or more. With 1 it is not told from a process that was killed from outside.
    public var maxDeaths = 3
    /// How long a failed message waits.
    public var retry = RetryPolicy()
    /// How long a lease lasts.
    public var lease: Int64 = 30_000
    /// How long a lease may last, with all extensions.
    public var maxLease: Int64 = 12 * 3_600_000
    /// Where dead messages go: nil for `NAME.dead`.
    public var deadLetterQueue: String?
    /// False to throw dead messages away.
    public var keepsDeadLetters = true
    /// For how long an id is remembered; nil when ids are not compared.
    public var deduplicate: Int64?
    /// What becomes of a message whose id is remembered.
    public var onDuplicate = DuplicatePolicy.ignore
    /// When a message counts as kept.
    public var durability = QueueDurability.disk
    /// What it promises about one message.
    public var delivery = QueueDelivery.atLeastOnce
    /// How large a payload with its headers may be.
    public var maxMessageSize = 1 << 20
    /// True when a dead message keeps those behind it of its ordering key back, until it is
    /// redriven or taken out of the queue for the dead.
    public var blocksKeyOfDead = false

    /// A queue with the defaults.
    public init(_ name: String) { self.name = name }

    /// A dead-letter queue nobody declared: it holds what it gets until somebody looks.
    static func deadLetters(_ name: String) -> QueueSettings {
        var settings = QueueSettings(name)
        settings.maxSize = .max
        settings.maxAttempts = nil
        settings.keepsDeadLetters = false
        return settings
    }

    /// The queue its dead messages go to; nil when they are thrown away.
    public var deadLetterTarget: String? {
        keepsDeadLetters ? deadLetterQueue ?? name + ".dead" : nil
    }
}
