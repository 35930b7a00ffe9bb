internal import Glibc
internal import Synchronization

/// A lock with two conditions to wait for: news for everybody, and work for the one thread that
/// does what nobody else does. Any thread.
@safe
final class Monitor: @unchecked Sendable {  // The system's own lock; nothing else inside.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private let work: UnsafeMutablePointer<pthread_cond_t>

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
        unsafe work = .allocate(capacity: 1)
        unsafe pthread_cond_init(work, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_cond_destroy(work)
        unsafe work.deallocate()
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
        unsafe condition.deallocate()
    }

    func lock() { unsafe pthread_mutex_lock(mutex) }
    func unlock() { unsafe pthread_mutex_unlock(mutex) }
    func wake() { unsafe pthread_cond_broadcast(condition) }
    func wait() { unsafe pthread_cond_wait(condition, mutex) }

    func wakeWorker() { unsafe pthread_cond_signal(work) }
    func waitForWork() { unsafe pthread_cond_wait(work, mutex) }

    /// Waits so long at most.
    func waitForWork(microseconds: Int64) {
        var until = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &until)
        let nanoseconds = Int64(until.tv_nsec) + (microseconds % 1_000_000) * 1_000
        until.tv_sec += Int(microseconds / 1_000_000 + nanoseconds / 1_000_000_000)
        until.tv_nsec = Int(nanoseconds % 1_000_000_000)
        unsafe pthread_cond_timedwait(work, mutex, &until)
    }
}

/// Lets the calling thread go first while it syncs, where the system allows that: on few cores it
/// would else wait a whole tick for those that compute.
struct RaisedPriority: ~Copyable {
    private static let isRefused = Atomic<Bool>(false)
    private let process = __priority_which_t(PRIO_PROCESS.rawValue)
    private var before: Int32?

    init() {
        guard !Self.isRefused.load(ordering: .relaxed) else { return }
        // Zero names the calling thread on Linux.
        let now = getpriority(process, 0)
        guard now > -10 else { return }
        if setpriority(process, 0, now - 10) == 0 {
            before = now
        } else {
            Self.isRefused.store(true, ordering: .relaxed)
        }
    }

    deinit {
        if let before { setpriority(process, 0, before) }
    }
}

/// Starts a thread of our own with raised priority, where the system allows that: on few cores the
/// thread that syncs would else wait for those that compute. Whoever starts it joins or detaches
/// it; nil when the system gives no more threads.
func startCommitter(_ run: @escaping @Sendable () -> Void) -> pthread_t? {
    final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    let box = unsafe Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let status = unsafe pthread_create(
        &thread, nil,
        { context in
            if let context = unsafe context {
                // Zero names the calling thread on Linux; a refusal changes nothing.
                setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -10)
                unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
            }
            return nil
        }, unsafe box.toOpaque())
    if status != 0 {
        unsafe box.release()
        return nil
    }
    return thread
}
