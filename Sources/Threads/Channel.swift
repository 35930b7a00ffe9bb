internal import Glibc

/// A bounded hand-over between threads: a full one makes the sender wait, which is back-pressure.
@safe
package final class Channel<Element: Sendable>: @unchecked Sendable {  // Under `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let notEmpty: UnsafeMutablePointer<pthread_cond_t>
    private let notFull: UnsafeMutablePointer<pthread_cond_t>
    private let capacity: Int
    private var elements = Fifo<Element>()
    private var count: Int { elements.count }
    private var isClosed = false

    /// Creates a channel for up to `capacity` elements.
    package init(capacity: Int) {
        precondition(capacity > 0, "a channel needs room for at least one element")
        self.capacity = capacity
        unsafe mutex = .allocate(capacity: 1)
        unsafe notEmpty = .allocate(capacity: 1)
        unsafe notFull = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(notEmpty, nil)
        unsafe pthread_cond_init(notFull, nil)
        elements.reserveCapacity(min(capacity, 1024))
    }

    deinit {
        unsafe pthread_cond_destroy(notEmpty)
        unsafe pthread_cond_destroy(notFull)
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
        unsafe notEmpty.deallocate()
        unsafe notFull.deallocate()
    }

    /// Hands an element over; waits while the channel is full. False when it is closed.
    @discardableResult
    package func send(_ element: Element) -> Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while count >= capacity && !isClosed { unsafe pthread_cond_wait(notFull, mutex) }
        guard !isClosed else { return false }
        elements.append(element)
        unsafe pthread_cond_signal(notEmpty)
        return true
    }

    /// Hands an element over if there is room now.
    package func trySend(_ element: Element) -> Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        guard count < capacity && !isClosed else { return false }
        elements.append(element)
        unsafe pthread_cond_signal(notEmpty)
        return true
    }

    /// The next element; waits while there is none. Nil when it is closed and empty.
    package func receive() -> Element? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while count == 0 && !isClosed { unsafe pthread_cond_wait(notEmpty, mutex) }
        return takeFirst()
    }

    /// The next element, or nil when none came within the time; `isFinished` tells the end.
    package func receive(milliseconds: Int) -> Element? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        var until = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &until)
        let nanoseconds = until.tv_nsec + (milliseconds % 1000) * 1_000_000
        until.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        until.tv_nsec = nanoseconds % 1_000_000_000
        while count == 0 && !isClosed {
            if unsafe pthread_cond_timedwait(notEmpty, mutex, &until) == ETIMEDOUT { break }
        }
        return takeFirst()
    }

    /// True when it is closed and everything was received.
    package var isFinished: Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return isClosed && count == 0
    }

    /// The next element if there is one now.
    package func tryReceive() -> Element? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return takeFirst()
    }

    /// Nothing more will be sent; what is there can still be received.
    package func close() {
        unsafe pthread_mutex_lock(mutex)
        isClosed = true
        unsafe pthread_cond_broadcast(notEmpty)
        unsafe pthread_cond_broadcast(notFull)
        unsafe pthread_mutex_unlock(mutex)
    }

    private func takeFirst() -> Element? {
        guard count > 0 else { return nil }
        unsafe pthread_cond_signal(notFull)
        return elements.take()
    }
}
