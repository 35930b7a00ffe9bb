/// A log with group commit: any thread appends to memory, one thread of its own writes and syncs
/// what came together in the meantime. After an error of the disk it stays failed.
public final class Journal<Place: Disk>: @unchecked Sendable {  // Everything under `monitor`.
    private let monitor = Monitor()
    private var log: OpenedLog<Place>
    private var isWriting = false
    private var isClosing = false
    private var hasEnded = false
    private var wantedSequence: UInt64 = 0
    private var deadlineMicroseconds: Int64?
    private var writtenSequence: UInt64
    private var callbacks: [(sequence: UInt64, perform: @Sendable (JournalError?) -> Void)] = []

    /// Starts the thread. Throws when the system gives no more threads.
    public init(_ log: consuming OpenedLog<Place>) throws(JournalError) {
        writtenSequence = log.writer.appendedSequence
        self.log = log
        guard startCommitter({ self.commitUntilClosed() }) else {
            throw JournalError(.disk, "no thread for the journal; raise the limit (ulimit -u)")
        }
    }

    /// The last transaction that survives a power cut.
    public var durableSequence: UInt64 {
        monitor.lock()
        defer { monitor.unlock() }
        return log.writer.durableSequence
    }

    /// The last transaction appended.
    public var appendedSequence: UInt64 {
        monitor.lock()
        defer { monitor.unlock() }
        return log.writer.appendedSequence
    }

    /// Places a transaction; copies its bytes and returns before they are written. Throws when the
    /// journal has failed or is closed.
    public func append(
        _ frame: borrowing Frame, _ durability: Durability = .disk
    ) throws(JournalError) -> AppendedFrame {
        monitor.lock()
        defer { monitor.unlock() }
        try check()
        while log.writer.needsRoll(frame) && isWriting {
            monitor.wait()
            try check()
        }
        let appended = try log.writer.append(frame)
        switch durability {
        case .disk: wantedSequence = appended.sequence
        case .within(let milliseconds):
            let until = log.writer.disk.now() + Int64(milliseconds) * 1_000
            deadlineMicroseconds = min(deadlineMicroseconds ?? until, until)
        case .osCache: break
        }
        monitor.wake()
        return appended
    }

    /// Waits until a transaction survives a power cut; throws when it may not.
    public func waitUntilDurable(_ sequence: UInt64) throws(JournalError) {
        monitor.lock()
        defer { monitor.unlock() }
        wantedSequence = max(wantedSequence, min(sequence, log.writer.appendedSequence))
        monitor.wake()
        while log.writer.durableSequence < sequence {
            try check()
            monitor.wait()
        }
    }

    /// Waits until a transaction is handed to the system; throws when it may not be.
    public func waitUntilWritten(_ sequence: UInt64) throws(JournalError) {
        monitor.lock()
        defer { monitor.unlock() }
        while writtenSequence < sequence {
            try check()
            monitor.wait()
        }
    }

    /// Calls back, on the journal's thread, when a transaction survives a power cut, or with the
    /// reason why it may not. At once, on this thread, when that is known already.
    public func whenDurable(
        _ sequence: UInt64, _ perform: @escaping @Sendable (JournalError?) -> Void
    ) {
        monitor.lock()
        let failure = log.writer.failed
        let isKnown = log.writer.durableSequence >= sequence || failure != nil
        if !isKnown {
            callbacks.append((sequence, perform))
            wantedSequence = max(wantedSequence, min(sequence, log.writer.appendedSequence))
            monitor.wake()
        }
        monitor.unlock()
        if isKnown { perform(durableSequence >= sequence ? nil : failure) }
    }

    /// The bytes of an entry, checked. Throws when they have changed, or never were there.
    public func read(_ position: LogPosition) throws(JournalError) -> [UInt8] {
        monitor.lock()
        let isLast = position.segment == log.writer.segment
        let target = log.writer.appendedSequence
        let layout = log.writer.layout
        let disk = log.writer.disk
        monitor.unlock()
        if isLast { try waitUntilWritten(target) }
        let path = layout.segment(position.segment)
        let size = Frame.entryHeaderSize + Int(position.length)
        var bytes = try JournalError.wrap { () throws(DiskError) in
            try disk.open(path, .read).bytes(at: Int(position.offset), count: size)
        }
        guard bytes.count == size, unsafe Frame.kind(ofEntry: bytes.span.bytes) != nil else {
            throw .damaged(path, at: Int(position.offset), "an entry of \(position.length) bytes")
        }
        bytes.removeFirst(Frame.entryHeaderSize)
        return bytes
    }

    /// Syncs what is left and ends the thread. Throws when the journal had failed.
    public func close() throws(JournalError) {
        monitor.lock()
        defer { monitor.unlock() }
        isClosing = true
        wantedSequence = log.writer.appendedSequence
        monitor.wake()
        while !hasEnded { monitor.wait() }
        if let failure = log.writer.failed { throw failure }
    }

    func withWriter<Value>(
        _ body: (borrowing LogWriter<Place>) throws(JournalError) -> Value
    ) throws(JournalError) -> Value {
        monitor.lock()
        defer { monitor.unlock() }
        try check()
        return try body(log.writer)
    }

    private func check() throws(JournalError) {
        if let failure = log.writer.failed { throw failure }
        if isClosing { throw JournalError(.closed, "the journal is closed; open it again") }
    }

    /// The thread's whole life. It holds the lock but while it writes and calls back.
    private func commitUntilClosed() {
        monitor.lock()
        while log.writer.failed == nil {
            let isDue = deadlineMicroseconds.map { $0 <= log.writer.disk.now() } ?? false
            let mustSync = wantedSequence > log.writer.durableSequence || isDue
            if mustSync || !log.writer.isPendingEmpty {
                commit(sync: mustSync)
            } else if isClosing {
                break
            } else if let deadline = deadlineMicroseconds {
                monitor.wait(microseconds: max(1, deadline - log.writer.disk.now()))
            } else {
                monitor.wait()
            }
        }
        let ended = settledCallbacks()
        let failure = log.writer.failed
        hasEnded = true
        monitor.wake()
        monitor.unlock()
        for (isDurable, perform) in ended { perform(isDurable ? nil : failure) }
    }

    private func commit(sync: Bool) {
        if sync { deadlineMicroseconds = nil }
        var group = log.writer.beginGroup()
        isWriting = true
        monitor.unlock()
        var failure: DiskError?
        do throws(DiskError) {
            try group.write()
            if sync { try group.file.sync() }
        } catch { failure = error }
        monitor.lock()
        isWriting = false
        if let failure {
            log.writer.fail(failure)
        } else {
            writtenSequence = group.sequence
            log.writer.endGroup(group, isSynced: sync)
            // A failed mark fails the journal; what was synced is acknowledged all the same.
            if sync, log.writer.isPendingEmpty { try? log.writer.mark() }
        }
        let done = log.writer.failed == nil ? settledCallbacks() : []
        monitor.wake()
        guard !done.isEmpty else { return }
        monitor.unlock()
        for (_, perform) in done { perform(nil) }
        monitor.lock()
    }

    /// Takes out the callbacks that can be answered: all of them after a failure.
    private func settledCallbacks() -> [(Bool, @Sendable (JournalError?) -> Void)] {
        let durable = log.writer.durableSequence
        let hasFailed = log.writer.failed != nil
        let done = callbacks.filter { hasFailed || $0.sequence <= durable }
        callbacks.removeAll { hasFailed || $0.sequence <= durable }
        return done.map { ($0.sequence <= durable, $0.perform) }
    }
}
