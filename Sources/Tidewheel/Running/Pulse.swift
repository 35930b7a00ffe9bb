internal import Synchronization
internal import Threads

/// Beats whenever code of the program has done something for the pipeline, and knows in which it
/// is. By it a stop tells a run that is slow from one that hangs. Any thread.
final class Pulse: Sendable {
    private let beats = Atomic<Int>(0)
    private let busy = Locked<[String: Int]>([:])

    /// How often it has beaten.
    var count: Int { beats.load(ordering: .relaxed) }

    /// The code that has been called and has not returned yet.
    var busyPlaces: [String] { busy.withLock { $0.keys.sorted() } }

    func beat() { beats.add(1, ordering: .relaxed) }

    /// Calls `body`, which is code of the program.
    func during<Result, Failure: Error>(
        _ place: String, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        busy.withLock { $0[place, default: 0] += 1 }
        defer {
            busy.withLock { busy in
                let left = (busy[place] ?? 1) - 1
                busy[place] = left == 0 ? nil : left
            }
            beat()
        }
        return try body()
    }
}
