internal import Glibc

/// A log with group commit: any thread appends to memory; the first one that waits writes and syncs
/// what came together in the meantime, for the others as well. A thread of its own does what nobody
/// waits for. After an error of the disk it stays failed.
public final class Journal<Place: Disk>: @unchecked Sendable {  // Everything under `monitor`.
    private let monitor = Monitor()
    private var log: OpenedLog<Place>
    private var isWriting = false
    private var isClosing = false
    private var hasEnded = false
    /// Nil once somebody waits for its end.
    private var thread: pthread_t?
    private var wantedSequence: UInt64 = 0
    /// Up to where somebody waits to be called back.
    private var urgentSequence: UInt64 = 0
    private var deadlineMicroseconds: Int64?
    /// When the thread does what nobody else did.
    private var patienceMicroseconds: Int64?
    private var isParked = false
    private var writtenSequence: UInt64
    /// Up to where the last segment is written.
    private var written: (segment: UInt32, end: Int)
    /// Kept between reads: a fresh one would be zeroed page by page.
    private var readBuffer: [UInt8] = []
    private var readers: [UInt32: Place.Handle] = [:]
    private var callbacks: [(sequence: UInt64, perform: @Sendable (JournalError?) -> Void)] = []
    private var appendedBytes = 0
    /// How long an appended frame waits for somebody to wait for it.
    private static var patience: Int64 { 2_000 }

    /// Starts the thread. Throws when the system gives no more threads.
    public init(_ log: consuming OpenedLog<Place>) throws(JournalError) {
        writtenSequence = log.writer.appendedSequence
        written = (log.writer.segment, log.writer.writtenEnd)
        self.log = log
        guard let thread = startCommitter({ self.commitUntilClosed() }) else {
            throw JournalError(.disk, "no thread for the journal; raise the limit (ulimit -u)")
        }
        monitor.lock()
        self.thread = thread
        monitor.unlock()
    }

    deinit { if let thread { pthread_detach(thread) } }

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

    /// How much was written since the last snapshot, or since the start, in bytes.
    public var bytesSinceSnapshot: Int {
        monitor.lock()
        defer { monitor.unlock() }
        return log.replayedBytes + appendedBytes
    }

    func noteSnapshot() {
        monitor.lock()
        appendedBytes = -log.replayedBytes
        monitor.unlock()
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
        appendedBytes += frame.byteCount
        switch durability {
        case .disk: wantedSequence = appended.sequence
        case .within(let milliseconds):
            let until = log.writer.disk.now() + Int64(milliseconds) * 1_000
            deadlineMicroseconds = min(deadlineMicroseconds ?? until, until)
        case .osCache: break
        }
        if patienceMicroseconds == nil {
            patienceMicroseconds = log.writer.disk.now() + Self.patience
        }
        if isParked { monitor.wakeWorker() }
        return appended
    }

    /// Waits until a transaction survives a power cut; throws when it may not.
    public func waitUntilDurable(_ sequence: UInt64) throws(JournalError) {
        monitor.lock()
        defer { monitor.unlock() }
        wantedSequence = max(wantedSequence, min(sequence, log.writer.appendedSequence))
        while log.writer.durableSequence < sequence {
            try check()
            try precede(sequence)
            if isWriting { monitor.wait() } else { commit(sync: true) }
        }
    }

    /// Waits until a transaction is handed to the system; throws when it may not be.
    public func waitUntilWritten(_ sequence: UInt64) throws(JournalError) {
        monitor.lock()
        defer { monitor.unlock() }
        while writtenSequence < sequence {
            try check()
            try precede(sequence)
            if isWriting { monitor.wait() } else { commit(sync: false) }
        }
    }

    private func precede(_ sequence: UInt64) throws(JournalError) {
        guard sequence <= log.writer.appendedSequence else {
            throw JournalError(.misuse, "transaction \(sequence) was not appended yet")
        }
    }

    /// Calls back, on the journal's thread or that of whoever syncs, when a transaction survives a
    /// power cut, or with the reason why it may not. At once, on this thread, when that is known
    /// already. What is called must be short.
    public func whenDurable(
        _ sequence: UInt64, _ perform: @escaping @Sendable (JournalError?) -> Void
    ) {
        monitor.lock()
        let failure = log.writer.failed
        let isKnown = log.writer.durableSequence >= sequence || failure != nil
        if !isKnown {
            callbacks.append((sequence, perform))
            urgentSequence = max(urgentSequence, min(sequence, log.writer.appendedSequence))
            monitor.wakeWorker()
        }
        monitor.unlock()
        if isKnown { perform(durableSequence >= sequence ? nil : failure) }
    }

    /// The bytes of an entry, checked. Throws when they have changed, or never were there.
    public func read(_ position: LogPosition) throws(JournalError) -> [UInt8] {
        let size = Frame.entryHeaderSize + Int(position.length)
        let (file, path) = try readable(position.segment, upTo: Int(position.offset) + size)
        var bytes = try JournalError.wrap { () throws(DiskError) in
            try file.bytes(at: Int(position.offset), count: size)
        }
        guard bytes.count == size, unsafe Frame.kind(ofEntry: bytes.span.bytes) != nil else {
            throw .damaged(path, at: Int(position.offset), "an entry of \(position.length) bytes")
        }
        bytes.removeFirst(Frame.entryHeaderSize)
        return bytes
    }

    /// The bytes of several entries, each checked; neighbours are read together. `each` gets the
    /// index of the position and the entry's bytes. Throws when one has changed.
    public func read(
        _ positions: [LogPosition], _ each: (Int, RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) {
        var first = 0
        var buffer = takeReadBuffer()
        defer { keepReadBuffer(&buffer) }
        while first < positions.count {
            let start = positions[first]
            var end = Int(start.offset) + Frame.entryHeaderSize + Int(start.length)
            var last = first + 1
            while last < positions.count, positions[last].segment == start.segment {
                let next = positions[last]
                let nextEnd = Int(next.offset) + Frame.entryHeaderSize + Int(next.length)
                // A gap is read along as long as it is short.
                guard next.offset >= positions[last - 1].offset, Int(next.offset) - end < 4096,
                    nextEnd - Int(start.offset) <= 1 << 20
                else { break }
                end = nextEnd
                last += 1
            }
            let (file, path) = try readable(start.segment, upTo: end)
            let count = end - Int(start.offset)
            if buffer.count < count { buffer = [UInt8](repeating: 0, count: count) }
            let have = try JournalError.wrap { () throws(DiskError) in
                try file.fill(&buffer, at: Int(start.offset))
            }
            for index in first..<last {
                let position = positions[index]
                let place = Int(position.offset - start.offset)
                let size = Frame.entryHeaderSize + Int(position.length)
                guard place + size <= have else {
                    throw .damaged(path, at: Int(position.offset), "an entry that was cut off")
                }
                let entry = unsafe buffer.span.bytes.extracting(place..<(place + size))
                guard Frame.kind(ofEntry: entry) != nil else {
                    throw .damaged(
                        path, at: Int(position.offset), "an entry of \(position.length) bytes")
                }
                try each(index, entry.extracting(Frame.entryHeaderSize..<size))
            }
            first = last
        }
    }

    private func takeReadBuffer() -> [UInt8] {
        monitor.lock()
        defer { monitor.unlock() }
        var buffer: [UInt8] = []
        swap(&buffer, &readBuffer)
        return buffer
    }

    private func keepReadBuffer(_ buffer: inout [UInt8]) {
        monitor.lock()
        if buffer.count > readBuffer.count { swap(&buffer, &readBuffer) }
        monitor.unlock()
    }

    /// The file of a segment, when everything before `end` is in it.
    private func readable(
        _ segment: UInt32, upTo end: Int
    ) throws(JournalError) -> (file: Place.Handle, path: String) {
        monitor.lock()
        defer { monitor.unlock() }
        while segment == log.writer.segment, end > writtenEnd(of: segment) {
            try check()
            guard !log.writer.isPendingEmpty || isWriting else { break }
            if isWriting { monitor.wait() } else { commit(sync: false) }
        }
        let path = log.writer.layout.segment(segment)
        if let file = readers[segment] { return (file, path) }
        let disk = log.writer.disk
        let file = try JournalError.wrap { () throws(DiskError) in try disk.open(path, .read) }
        // A few stay open: readers mostly follow the log.
        if readers.count >= 8, let oldest = readers.keys.min() { readers[oldest] = nil }
        readers[segment] = file
        return (file, path)
    }

    private func writtenEnd(of segment: UInt32) -> Int {
        written.segment == segment ? written.end : SegmentHeader.size
    }

    /// Syncs what is left, ends the thread and lets go of the store, which others may have from
    /// then on. Throws when the journal had failed.
    public func close() throws(JournalError) {
        monitor.lock()
        isClosing = true
        wantedSequence = log.writer.appendedSequence
        monitor.wakeWorker()
        while !hasEnded { monitor.wait() }
        let failure = log.writer.failed
        let ended = thread
        thread = nil
        // Without it the next start knows a little less; the log itself is whole.
        if failure == nil { try? log.writer.writeManifest() }
        log.letGo()
        monitor.unlock()
        // As long as the thread is there it has the journal, and with it the lock of the store.
        if let ended { pthread_join(ended, nil) }
        if let failure { throw failure }
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
        // A few rounds without work before it sleeps: waking it costs more than looking.
        var idleRounds = 0
        while log.writer.failed == nil {
            let now = log.writer.disk.now()
            let isDue = deadlineMicroseconds.map { $0 <= now } ?? false
            let isWanted = wantedSequence > log.writer.durableSequence
            let isUrgent = urgentSequence > log.writer.durableSequence
            let hasWork = isWanted || !log.writer.isPendingEmpty || deadlineMicroseconds != nil
            idleRounds = hasWork || isUrgent ? 0 : idleRounds + 1
            if isWriting {
                // Whoever writes wakes this thread when there is something left for it; waking it
                // each time would take the processor from those who wait for the disk.
                monitor.waitForWork(microseconds: Self.patience)
            } else if isUrgent || isDue || (isClosing && hasWork) {
                commit(sync: true)
            } else if hasWork, patienceMicroseconds.map({ $0 <= now }) ?? false {
                commit(sync: isWanted)
            } else if hasWork {
                let until = min(patienceMicroseconds ?? .max, deadlineMicroseconds ?? .max)
                monitor.waitForWork(microseconds: max(1, min(until - now, 1_000_000)))
            } else if isClosing {
                break
            } else if idleRounds < 50 {
                monitor.waitForWork(microseconds: Self.patience)
            } else {
                isParked = true
                monitor.waitForWork()
                isParked = false
            }
        }
        let ended = settledCallbacks()
        let failure = log.writer.failed
        hasEnded = true
        monitor.wake()
        monitor.unlock()
        for (isDurable, perform) in ended { perform(isDurable ? nil : failure) }
    }

    /// Writes, and syncs, what is pending; the lock is free meanwhile.
    private func commit(sync: Bool) {
        if sync { deadlineMicroseconds = nil }
        patienceMicroseconds = nil
        do throws(JournalError) { try log.checkLock() } catch {
            log.writer.fail(error)
            monitor.wake()
            monitor.wakeWorker()
            return
        }
        var group = log.writer.beginGroup()
        isWriting = true
        monitor.unlock()
        let failure = Self.carryOut(&group, sync: sync)
        monitor.lock()
        isWriting = false
        if let failure {
            log.writer.fail(failure)
        } else {
            writtenSequence = group.sequence
            written = (log.writer.segment, group.offset + group.bytes.count)
            log.writer.endGroup(group, isSynced: sync)
            if sync { try? log.writer.notePosition() }
            // A failed mark fails the journal; what was synced is acknowledged all the same.
            if sync, log.writer.isPendingEmpty { try? log.writer.mark() }
        }
        if wantedSequence > log.writer.durableSequence {
            patienceMicroseconds = log.writer.disk.now() + Self.patience
        }
        let done = log.writer.failed == nil ? settledCallbacks() : []
        monitor.wake()
        let isUrgent = urgentSequence > log.writer.durableSequence
        if log.writer.failed != nil || isUrgent || isClosing { monitor.wakeWorker() }
        guard !done.isEmpty else { return }
        monitor.unlock()
        for (_, perform) in done { perform(nil) }
        monitor.lock()
    }

    private static func carryOut(
        _ group: inout CommitGroup<Place.Handle>, sync: Bool
    ) -> DiskError? {
        do throws(DiskError) {
            try group.write()
            guard sync else { return nil }
            let priority = RaisedPriority()
            try group.file.sync()
            _ = consume priority
            return nil
        } catch { return error }
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
