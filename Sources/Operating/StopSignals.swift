internal import Glibc
internal import Synchronization
internal import Threads

/// SIGTERM and SIGINT end the run in order; a second one ends the process at once.
package enum StopSignals {
    private static let count = Atomic<Int>(0)
    /// The end of a pipe that wakes the thread below; a handler may do no more than write to it.
    private static let wake = Atomic<Int>(-1)
    private static let receiver = Atomic<Int>(-1)

    /// From here on a signal waits for `whenStopped`: one that comes early is no crash either.
    package static func install() {
        var ends: [Int32] = [0, 0]
        guard unsafe pipe(&ends) == 0 else { return }
        receiver.store(Int(ends[0]), ordering: .relaxed)
        wake.store(Int(ends[1]), ordering: .relaxed)
        // Whoever started us may have blocked them, and a blocked signal would stop nothing.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for number in [SIGTERM, SIGINT] { unsafe sigaddset(&signals, number) }
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGTERM, SIGINT] {
            signal(number) { _ in
                if StopSignals.count.add(1, ordering: .relaxed).newValue > 1 { _exit(130) }
                var byte: UInt8 = 0
                unsafe write(Int32(StopSignals.wake.load(ordering: .relaxed)), &byte, 1)
            }
        }
    }

    /// Calls `stop` on a thread of its own once there was a signal.
    package static func whenStopped(_ stop: @escaping @Sendable () -> Void) {
        let descriptor = Int32(receiver.load(ordering: .relaxed))
        guard descriptor >= 0 else { return }
        startThread {
            var byte: UInt8 = 0
            while unsafe read(descriptor, &byte, 1) < 0 && errno == EINTR {}
            stop()
        }
    }
}
