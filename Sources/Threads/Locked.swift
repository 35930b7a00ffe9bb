internal import Glibc

/// A value that one thread at a time may touch.
///
/// The standard `Mutex` waits inside a library that the thread sanitizer cannot see into, so every
/// contended one would be reported as a race; a lock of the C library is understood.
@safe
package final class Locked<Value: Sendable>: @unchecked Sendable {  // `value` is under `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var value: Value

    /// Creates an unlocked value.
    package init(_ value: Value) {
        self.value = value
        unsafe mutex = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Calls `body` alone; it must be short and must not lock anything else.
    package func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body(&value)
    }
}
