import Synchronization
import Threads

/// Holds a thread of a pipeline until the test lets it go.
final class Gate: Sendable {
    private let channel = Channel<Void>(capacity: 1)
    private let waiting = Atomic<Int>(0)

    var isWaiting: Bool { waiting.load(ordering: .relaxed) > 0 }

    func pass() {
        waiting.add(1, ordering: .relaxed)
        _ = channel.receive()
    }

    func open() { channel.close() }
}
