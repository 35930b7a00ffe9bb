internal import Records
internal import Threads

/// Records between the thread that writes and a task that reads them.
///
/// A thread cannot wait for a task, so the bound is a channel of permits: the writer takes one per
/// record and the reader gives it back.
final class OutputQueue: Sendable {
    fileprivate struct State {
        var records: [Record] = []
        /// Records before this one were read.
        var first = 0
        var reader: CheckedContinuation<Record?, Never>?
        /// No more rows come.
        var isFinished = false
        /// Nobody reads any more.
        var isAbandoned = false
    }

    static let capacity = 1024
    private let state = Locked(State())
    private let permits = Channel<Void>(capacity: OutputQueue.capacity)
    private let pulse: Pulse

    /// An empty queue; `pulse` beats whenever a record is read.
    init(_ pulse: Pulse) {
        self.pulse = pulse
        for _ in 0..<Self.capacity { permits.send(()) }
    }

    /// Called by the writer; waits while the reader is far behind.
    func send(_ record: Record) {
        guard permits.receive() != nil else { return }
        let reader = state.withLock { state -> CheckedContinuation<Record?, Never>? in
            guard !state.isAbandoned else { return nil }
            let reader = state.reader
            state.reader = nil
            if reader == nil { state.records.append(record) }
            return reader
        }
        if let reader {
            permits.send(())
            pulse.beat()
            reader.resume(returning: record)
        }
    }

    /// Called by the writer at the end: what waits is still read.
    func finish() { end { $0.isFinished = true } }

    /// Nobody reads any more: the writer does not wait, and what waits is thrown away.
    func abandon() {
        end { state in
            state.isAbandoned = true
            state.records = []
            state.first = 0
        }
        permits.close()
        // Permits that are left would let the writer go on one by one.
        while permits.tryReceive() != nil {}
    }

    private func end(_ change: (inout State) -> Void) {
        let reader = state.withLock { state in
            change(&state)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: nil)
    }

    /// The next record; nil at the end, and once the task is cancelled.
    func next() async -> Record? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Record?? in
                    if state.isAbandoned || Task.isCancelled { return .some(nil) }
                    if let record = state.takeFirst() { return record }
                    if state.isFinished { return .some(nil) }
                    precondition(state.reader == nil, "one task reads an output at a time")
                    state.reader = continuation
                    return nil
                }
                guard let answer else { return }
                if answer != nil {
                    permits.send(())
                    pulse.beat()
                }
                continuation.resume(returning: answer)
            }
        } onCancel: {
            abandon()
        }
    }
}

extension OutputQueue.State {
    fileprivate mutating func takeFirst() -> Record? {
        guard first < records.count else { return nil }
        defer {
            first += 1
            // Each record is moved up once on average, however many wait.
            if first * 2 >= records.count {
                records.removeFirst(first)
                first = 0
            }
        }
        return records[first]
    }
}
