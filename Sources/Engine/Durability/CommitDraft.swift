internal import Connecting
internal import Definitions
internal import Queueing
internal import Scripting

/// What one commit will hold: everything that has changed since the last one, taken between two
/// batches.
struct CommitDraft: Sendable {
    /// Where sources and sinks stand.
    var positions: [UInt8] = []
    /// Changes of the state of rules, one list from each VM.
    var rules: [[UInt8]] = []
    /// Changes of windows, one list from each stage.
    var windows: [[UInt8]] = []
    var times: CommittedTimes?
    /// Whatever else belongs into the transaction.
    var others: [(kind: StoreEntry.Kind, bytes: [UInt8])] = []
    /// Messages that were processed, messages to be published, by their queues.
    var receipts: [(QueueHandle, [Receipt])] = []
    var messages: [(QueueHandle, [[UInt8]])] = []
    /// Messages that go to several queues each, their bytes once.
    var routed: [Routed] = []
    /// New dead letters, and the numbers of those that were run again.
    var letters: [[UInt8]] = []
    var replayed: [UInt64] = []
    /// Rows for sinks that take them from the outbox, once the commit is kept.
    var outbox: [OutboxChunk] = []
    /// False when those rows do not come again, whatever happens.
    var isOutboxKept = true
    /// How far the outbox has come: numbers of rows before which all are delivered.
    var delivered: [(sink: String, before: UInt64)] = []
    /// Called in order once the commit is kept, on the thread that commits.
    var whenKept: [@Sendable () -> Void] = []
    /// Nothing is written to the sinks before it is kept.
    var isAwaited = false
    /// Waits until the rows of a sink are on stable storage.
    var syncers: [@Sendable () throws(ConnectorError) -> Void] = []

    var entries: [(StoreEntry.Kind, [UInt8])] {
        var entries: [(StoreEntry.Kind, [UInt8])] = []
        if !positions.isEmpty { entries.append((.positions, positions)) }
        for bytes in rules where !bytes.isEmpty { entries.append((.rules, bytes)) }
        for bytes in windows where !bytes.isEmpty { entries.append((.windows, bytes)) }
        if let times { entries.append((.times, Array(times.encoded.utf8))) }
        if isOutboxKept {
            for chunk in outbox {
                var bytes: [UInt8] = []
                chunk.encode(to: &bytes)
                entries.append((.outbox, bytes))
            }
        }
        if !delivered.isEmpty { entries.append((.delivered, OutboxTable.encode(delivered))) }
        return entries + others.map { ($0.kind, $0.bytes) }
    }

    /// True when queues are to change.
    var hasMessages: Bool {
        !receipts.isEmpty || !messages.isEmpty || !letters.isEmpty || !replayed.isEmpty
            || !routed.isEmpty
    }

    /// A message and the queues it goes to.
    struct Routed: Sendable {
        var message: NewMessage
        var queues: [QueueHandle]
    }

    /// Adds where a connector stands, under a name of its own.
    mutating func addPosition(_ owner: String, _ name: String, _ position: [UInt8]) {
        StoreEntry.add(Array("\(owner)\0\(name)".utf8), position, to: &positions)
    }

    /// Adds what has changed in a VM.
    mutating func addRules(_ vm: inout RuleVM, _ buffer: OutputBuffer) {
        vm.encodeStateChanges(into: buffer)
        guard buffer.count > 0 else { return }
        rules.append(unsafe buffer.withUnsafeBytes { unsafe Array($0) })
        buffer.removeAll()
    }
}

/// Decides when it is time to commit. A pure value; times are nanoseconds of a steady clock.
struct CommitPacer {
    private let every: UInt64
    private let records: Int
    private var last: UInt64
    private(set) var pending = 0

    init(_ settings: Commit, now: UInt64) {
        every = UInt64(settings.everyNanoseconds)
        records = settings.records
        last = now
    }

    /// So many records have been taken since the last call.
    mutating func note(_ count: Int) { pending += count }

    func isDue(now: UInt64) -> Bool {
        pending > 0 && (isFull || now >= last + every)
    }

    /// As many records wait as one commit may hold.
    var isFull: Bool { pending >= records }

    mutating func hasCommitted(now: UInt64) {
        pending = 0
        last = now
    }
}
