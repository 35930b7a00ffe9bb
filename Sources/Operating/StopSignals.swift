internal import Glibc
internal import Synchronization
internal import Threads

/// SIGTERM and SIGINT end the run in order. Whoever sends another one at once, as `timeout` does to
/// a process and to its group, means the same; one that comes later ends the process. SIGHUP lets
/// the run load its rules again.
package enum StopSignals {
    /// How long after the first signal others say nothing new, in nanoseconds.
    private static let same: UInt64 = 2_000_000_000

    private static let count = Atomic<Int>(0)
    /// The end of a pipe that wakes the thread below; a handler may do no more than write to it.
    private static let wake = Atomic<Int>(-1)
    private static let receiver = Atomic<Int>(-1)

    /// From here on a signal waits for `whenStopped`: one that comes early is no crash either.
    package static func install() {
        var ends: [Int32] = [0, 0]
        guard unsafe pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        receiver.store(Int(ends[0]), ordering: .relaxed)
        wake.store(Int(ends[1]), ordering: .relaxed)
        // Whoever started us may have blocked them, and a blocked signal would stop nothing.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { unsafe sigaddset(&signals, number) }
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGTERM, SIGINT] {
            signal(number) { number in
                // When even the thread below hangs, somebody who insists gets out.
                if StopSignals.count.add(1, ordering: .relaxed).newValue > 20 { _exit(130) }
                var byte = UInt8(truncatingIfNeeded: number)
                unsafe write(Int32(StopSignals.wake.load(ordering: .relaxed)), &byte, 1)
            }
        }
        signal(SIGHUP) { number in
            var byte = UInt8(truncatingIfNeeded: number)
            unsafe write(Int32(StopSignals.wake.load(ordering: .relaxed)), &byte, 1)
        }
    }

    /// Calls `stop` with the name of the signal, on a thread of its own, once there was one. When
    /// another one comes some time later, `insisted` is called and the process ends with 130. Calls
    /// `hangUp` for each SIGHUP before that, on a thread of its own.
    package static func whenStopped(
        insisted: @escaping @Sendable () -> Void = {},
        hangUp: @escaping @Sendable () -> Void = {},
        _ stop: @escaping @Sendable (_ signal: String) -> Void
    ) {
        let descriptor = Int32(receiver.load(ordering: .relaxed))
        guard descriptor >= 0 else { return }
        startThread {
            var first = next(descriptor)
            while Int32(first) == SIGHUP {
                // What it does may take long, and a signal to stop must not wait for it.
                startThread(hangUp)
                first = next(descriptor)
            }
            let began = monotonicNanoseconds()
            stop(Int32(first) == SIGINT ? "SIGINT" : "SIGTERM")
            while monotonicNanoseconds() - began < same { _ = nextStop(descriptor) }
            insisted()
            _exit(130)
        }
    }

    private static func next(_ descriptor: Int32) -> UInt8 {
        var byte: UInt8 = 0
        while unsafe read(descriptor, &byte, 1) < 0 && errno == EINTR {}
        return byte
    }

    /// The next signal that wants an end.
    private static func nextStop(_ descriptor: Int32) -> UInt8 {
        while true {
            let byte = next(descriptor)
            if Int32(byte) != SIGHUP { return byte }
        }
    }
}
