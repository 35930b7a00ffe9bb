internal import Synchronization
internal import Threads

/// Until when a version may be tried: its time is bounded, and it ends when whoever wanted it has
/// gone, or wants another one by now. Any thread.
package final class TrialLimit: Sendable {
    private let deadlineNanoseconds: UInt64
    private let timeoutMilliseconds: Int64
    private let isWanted: @Sendable () -> Bool
    private let isSuperseded = Atomic<Bool>(false)

    /// - Parameter nanoseconds: how long it may take from now on.
    /// - Parameter isWanted: false once nobody waits for the answer; asked often.
    package init(nanoseconds: Int64, isWanted: @escaping @Sendable () -> Bool = { true }) {
        deadlineNanoseconds = monotonicNanoseconds() &+ UInt64(max(0, nanoseconds))
        timeoutMilliseconds = nanoseconds / 1_000_000
        self.isWanted = isWanted
    }

    /// Somebody wants another version by now.
    package func supersede() { isSuperseded.store(true, ordering: .relaxed) }

    /// Why the trial has to end, or nil while it may go on.
    package var reason: String? {
        if isSuperseded.load(ordering: .relaxed) { return "a newer reload took its place" }
        if !isWanted() { return "whoever asked for it has gone" }
        guard monotonicNanoseconds() >= deadlineNanoseconds else { return nil }
        let seconds = Double(timeoutMilliseconds) / 1000
        return "tests and trial took longer than \(seconds) s (reload.timeout)"
    }
}
