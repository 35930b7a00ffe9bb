public import Journal

/// A store that is open: the journal and the queues on it. Any thread; one process at a time.
public final class Store<Place: Disk>: Sendable {
    /// What recovery cut off at the end of the log, in bytes; to be reported once.
    public let truncatedBytes: Int
    /// The store's directory.
    public let directory: String
    let journal: Journal<Place>
    let core: Core
    private let clock: @Sendable () -> Int64

    /// Opens or makes a store. `queues` are declared; others that the log knows are there as well.
    /// Entries of the owner (kind 64 and above) come back through `foreign`, in order, those of the
    /// snapshot first, then `restored` is called. `clock` gives microseconds since 1970.
    /// Throws when another process has the store, or when it is damaged; nothing changes then.
    public init<Random: RandomNumberGenerator>(
        opening directory: String, on disk: Place, settings: LogSettings = LogSettings(),
        queues declared: [QueueSettings] = [], random: inout Random,
        clock: (@Sendable () -> Int64)? = nil,
        foreign: (UInt8, RawSpan) throws(JournalError) -> Void = { _, _ throws(JournalError) in },
        restored: () -> Void = {}
    ) throws(QueueError) {
        let clock = clock ?? { disk.now() }
        var loader = StoreLoader()
        do throws(JournalError) {
            let log = try OpenedLog(
                directory, on: disk, settings: settings, random: &random,
                restore: { (bytes) throws(JournalError) in try loader.restore(bytes, foreign) },
                replay: { (frame) throws(JournalError) in
                    if loader.endRestoring() { restored() }
                    try loader.replay(frame, foreign)
                })
            truncatedBytes = log.truncatedBytes
            journal = try Journal(log)
        } catch { throw QueueError(error) }
        self.directory = directory
        self.clock = clock
        var queues = QueueSet()
        if loader.endRestoring() { restored() }
        swap(&queues, &loader.queues)
        for settings in declared { _ = queues.declare(settings) }
        for settings in declared {
            guard let name = settings.deadLetterTarget, queues.names[name] == nil else { continue }
            _ = queues.declare(.deadLetters(name))
        }
        queues.finishRecovery(now: clock() / 1000)
        queues.beginCounting(at: clock() / 1000)
        let journal = journal
        core = Core(
            queues: queues, hasForeign: loader.hasForeign,
            transaction: Transaction(random: StoreRandom(seed: random.next())) {
                (position) throws(JournalError) in try journal.read(position)
            })
        try endOwnedLeases()
    }

    /// True when the log holds entries that are not the queues'; a snapshot must hold them, too.
    public var hasForeignEntries: Bool {
        core.begin()
        defer { core.end() }
        return core.hasForeign
    }

    /// Runs commands as one transaction: all of them are in the log, in one frame, or none. When
    /// `body` throws nothing happened. Returns before the frame is durable: wait for `sequence`.
    /// `durability` goes before what the queues ask for.
    public func commit<Result>(
        _ durability: Durability? = nil,
        _ body: (inout Transaction) throws(QueueError) -> Result
    ) throws(QueueError) -> (result: Result, sequence: UInt64) {
        core.begin()
        defer { core.end() }
        _ = try advance(budget: 4096)
        core.transaction.now = clock()
        let result: Result
        do throws(QueueError) { result = try body(&core.transaction) } catch {
            core.transaction.reset()
            throw error
        }
        return (result, try append(durability))
    }

    /// Does what is due by now, all of it; returns when the next thing is, in microseconds.
    public func advance() throws(QueueError) -> Int64? {
        while true {
            core.begin()
            defer { core.end() }
            if try advance(budget: 4096) {
                return core.transaction.queues.wheel.next.map { $0 * 1000 }
            }
        }
    }

    /// The store's time, in microseconds since 1970.
    public var now: Int64 { clock() }

    /// When the next timer is due, in microseconds since 1970; nil for never.
    public var nextDue: Int64? {
        core.begin()
        defer { core.end() }
        return core.transaction.queues.wheel.next.map { $0 * 1000 }
    }

    private func endOwnedLeases() throws(QueueError) {
        core.begin()
        defer { core.end() }
        core.transaction.now = clock()
        try core.transaction.endOwnedLeases()
        _ = try append(nil)
    }

    /// Under the lock.
    private func advance(budget: Int) throws(QueueError) -> Bool {
        core.transaction.now = clock()
        while true {
            let isDone: Bool
            do throws(QueueError) { isDone = try core.transaction.advance(budget: budget) } catch {
                core.transaction.reset()
                throw error
            }
            if core.transaction.steps.isEmpty { return isDone }
            // What just happened may be followed by more: a lease that ran out, then its time.
            _ = try append(nil)
            if !isDone { return false }
        }
    }

    /// Writes what was planned into the log and does it. Under the lock.
    private func append(_ durability: Durability?) throws(QueueError) -> UInt64 {
        core.transaction.seal()
        defer { core.transaction.reset() }
        var appended: AppendedFrame?
        if !core.transaction.frame.isEmpty {
            let wanted = durability ?? core.transaction.durability ?? .osCache
            appended = try QueueError.wrap { () throws(JournalError) in
                try journal.append(core.transaction.frame, wanted)
            }
        }
        core.transaction.happen(appended)
        for (queue, notice) in core.transaction.deaths { core.deaths.note(notice, queue) }
        if core.transaction.hasForeign { core.hasForeign = true }
        return appended?.sequence ?? journal.appendedSequence
    }

    // MARK: - Waiting

    /// The last transaction that survives a power cut.
    public var durableSequence: UInt64 { journal.durableSequence }
    /// The last transaction.
    public var appendedSequence: UInt64 { journal.appendedSequence }

    /// Waits until a transaction survives a power cut; throws when it may not.
    public func waitUntilDurable(_ sequence: UInt64) throws(QueueError) {
        try QueueError.wrap { () throws(JournalError) in try journal.waitUntilDurable(sequence) }
    }

    /// Waits until a transaction survives the end of the process; throws when it may not.
    public func waitUntilWritten(_ sequence: UInt64) throws(QueueError) {
        try QueueError.wrap { () throws(JournalError) in try journal.waitUntilWritten(sequence) }
    }

    /// Calls back, on the journal's thread, when a transaction survives a power cut, or with the
    /// reason why it may not.
    public func whenDurable(
        _ sequence: UInt64, _ perform: @escaping @Sendable (JournalError?) -> Void
    ) {
        journal.whenDurable(sequence, perform)
    }

    /// Gives leases of this process back, uncounted, syncs what is left, and ends.
    public func close() throws(QueueError) {
        core.begin()
        if core.transaction.hasOwnedLeases {
            core.transaction.now = clock()
            core.transaction.releaseOwnedLeases()
            // A journal that has failed says so below.
            _ = try? append(.disk)
        }
        core.end()
        try QueueError.wrap { () throws(JournalError) in try journal.close() }
    }
}
