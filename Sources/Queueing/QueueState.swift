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
    /// A bit for each count that the log does not know yet.
    var unwrittenTotals: UInt16 = 0

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
