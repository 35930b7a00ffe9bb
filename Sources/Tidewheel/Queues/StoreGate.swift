internal import Synchronization
internal import Threads

/// Whether the store of some queues is still there, who works on their messages, and who waits for
/// some. Any thread.
final class StoreGate: Sendable {
    /// How long a handler that found nothing waits before it looks again, in microseconds.
    let pollMicroseconds: Int64
    private let waiting = WaitingHandlers()
    private let closing = Atomic<Bool>(false)
    private let busy = Atomic<Int>(0)

    init(pollMicroseconds: Int64) { self.pollMicroseconds = pollMicroseconds }

    /// True when the store is about to be closed: no more messages are taken.
    var isClosing: Bool { closing.load(ordering: .acquiring) }

    /// Something has come, or left.
    func wake() { waiting.wake() }

    /// Waits for a call of `wake`, so long at most.
    func wait(microseconds: Int64) async {
        guard !isClosing else { return }
        await waiting.wait(microseconds: microseconds)
    }

    /// A handler takes a message and works on it; ends with `endWork`.
    func beginWork() { busy.add(1, ordering: .acquiringAndReleasing) }
    func endWork() { busy.subtract(1, ordering: .acquiringAndReleasing) }

    /// The store is about to be closed. Waits for handlers that are at work; what takes longer than
    /// so many milliseconds comes again. Keeps the calling thread.
    func close(waitingMilliseconds patience: Int) {
        closing.store(true, ordering: .releasing)
        waiting.wake()
        for _ in 0..<max(0, patience / 5) where busy.load(ordering: .acquiring) > 0 {
            pause(milliseconds: 5)
        }
    }
}

/// Handlers that found nothing to do. One that misses a call looks again in a moment anyway.
final class WaitingHandlers: Sendable {
    private struct State {
        var next: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var cancelled: Set<UInt64> = []
    }

    private let state = Mutex(State())

    func wake() {
        let all = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in all.values { continuation.resume() }
    }

    /// Waits for a call, so long at most.
    func wait(microseconds: Int64) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.signal() }
            group.addTask {
                try? await ContinuousClock().sleep(for: .microseconds(microseconds))
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func signal() async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.waiting[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                let found = state.waiting.removeValue(forKey: id)
                if found == nil { state.cancelled.insert(id) }
                return found
            }
            continuation?.resume()
        }
        state.withLock { _ = $0.cancelled.remove(id) }
    }
}
