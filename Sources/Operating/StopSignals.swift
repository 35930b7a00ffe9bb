internal import Glibc
internal import Synchronization
internal import Threads

/// SIGTERM and SIGINT end the run in order; a second one ends the process at once. SIGHUP lets it
/// load its rules again.
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
        for number in [SIGTERM, SIGINT, SIGHUP] { unsafe sigaddset(&signals, number) }
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGTERM, SIGINT] {
            signal(number) { _ in
                if StopSignals.count.add(1, ordering: .relaxed).newValue > 1 { _exit(130) }
                var byte = StopSignals.stop
                unsafe write(Int32(StopSignals.wake.load(ordering: .relaxed)), &byte, 1)
            }
        }
        signal(SIGHUP) { _ in
            var byte = StopSignals.hangUp
            unsafe write(Int32(StopSignals.wake.load(ordering: .relaxed)), &byte, 1)
        }
    }

    private static let stop: UInt8 = 0
    private static let hangUp: UInt8 = 1

    /// Calls `stop` once there was a signal that ends the run, and `hangUp` for each SIGHUP, both
    /// on threads of their own.
    package static func whenStopped(
        _ stop: @escaping @Sendable () -> Void, hangUp: @escaping @Sendable () -> Void = {}
    ) {
        let descriptor = Int32(receiver.load(ordering: .relaxed))
        guard descriptor >= 0 else { return }
        startThread {
            while true {
                var byte = Self.stop
                let count = unsafe read(descriptor, &byte, 1)
                if count < 0 && errno == EINTR { continue }
                guard count == 1, byte == Self.hangUp else { return stop() }
                // What it does may take long, and a signal to stop must not wait for it.
                startThread(hangUp)
            }
        }
    }
}
