/// One queue as memory has it.
struct QueueState {
    var settings: QueueSettings
    /// True when the log knows its number.
    var isRegistered = false
    /// True when somebody declared it, rather than the log alone.
    var isDeclared = false
    var isPublishPaused = false
    var isConsumePaused = false
    /// True when it holds the dead of another one.
    var isDeadLetterQueue = false
    var lines = [ReadyLine](repeating: ReadyLine(), count: 10)
    /// A bit for each priority whose line is not empty, or may not be.
    var occupied: UInt16 = 0
    var counts = QueueCounts()
    var totals = QueueTotals()

    init(_ settings: QueueSettings) { self.settings = settings }
}

/// How many messages of a queue stand where; exact.
public struct QueueCounts: Sendable, Hashable {
    /// Those that may be received.
    public internal(set) var ready = 0
    /// Those that wait for their time.
    public internal(set) var scheduled = 0
    /// Those that somebody has.
    public internal(set) var leased = 0
    /// Those that failed and wait.
    public internal(set) var retrying = 0

    /// All of them.
    public var size: Int { ready + scheduled + leased + retrying }

    subscript(state: MessageState) -> Int {
        get {
            switch state {
            case .ready: ready
            case .scheduled: scheduled
            case .leased: leased
            case .retrying: retrying
            }
        }
        set {
            switch state {
            case .ready: ready = newValue
            case .scheduled: scheduled = newValue
            case .leased: leased = newValue
            case .retrying: retrying = newValue
            }
        }
    }
}

/// What happened to a queue since the store was opened.
public struct QueueTotals: Sendable, Hashable {
    /// Messages published.
    public internal(set) var published = 0
    /// Messages handed over.
    public internal(set) var delivered = 0
    /// Of these, those that had been handed over before.
    public internal(set) var redelivered = 0
    /// Messages acknowledged.
    public internal(set) var acknowledged = 0
    /// Deliveries that failed.
    public internal(set) var failed = 0
    /// Leases that ran out.
    public internal(set) var leasesExpired = 0
    /// Messages that were dead-lettered, or thrown away for the same reasons.
    public internal(set) var dead = 0
    /// Duplicates that were told so.
    public internal(set) var deduplicated = 0
    /// Messages refused because the queue was full.
    public internal(set) var refused = 0
    /// Receipts that were not the current ones.
    public internal(set) var stale = 0
    /// Messages that went back from the dead.
    public internal(set) var redriven = 0

    /// None of it yet.
    package init() {}
}
