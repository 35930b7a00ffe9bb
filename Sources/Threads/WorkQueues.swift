internal import Glibc

/// The tasks of several threads: each has its own, urgent ones first, and all share what any of
/// them may take, so that none waits while there is something to do. Nothing bounds them; whoever
/// sends must have a bound of its own. Any thread, but each worker has one thread that receives.
@safe
package final class WorkQueues<Element: Sendable>: @unchecked Sendable {  // Under `mutex`.
    private struct Worker {
        var urgent = Fifo<Element>()
        var own = Fifo<Element>()
        var isWaiting = false
    }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    /// One for each worker.
    private let conditions: UnsafeMutablePointer<pthread_cond_t>
    private var workers: [Worker]
    private var shared = Fifo<Element>()
    private var isClosed = false

    /// Creates empty queues for so many workers.
    package init(workers count: Int) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe conditions = .allocate(capacity: count)
        unsafe pthread_mutex_init(mutex, nil)
        for index in 0..<count {
            unsafe pthread_cond_init(conditions + index, nil)
        }
        workers = (0..<count).map { _ in Worker() }
    }

    deinit {
        for index in workers.indices {
            unsafe pthread_cond_destroy(conditions + index)
        }
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
        unsafe conditions.deallocate()
    }

    /// Gives a task to one worker: before all others that it has but earlier urgent ones, or when
    /// there is nothing else left for it. Ignored once they are closed.
    package func send(_ element: Element, to worker: Int, isUrgent: Bool) {
        whileLocked {
            guard !isClosed else { return }
            if isUrgent {
                workers[worker].urgent.append(element)
            } else {
                workers[worker].own.append(element)
            }
            wake(worker)
        }
    }

    /// Gives a task to whichever worker takes it first. Ignored once they are closed.
    package func share(_ element: Element) {
        whileLocked {
            guard !isClosed else { return }
            shared.append(element)
            if let worker = workers.firstIndex(where: \.isWaiting) { wake(worker) }
        }
    }

    /// The next task of a worker; waits while there is none. Nil when they are closed and empty, or
    /// when none came within the time; `isFinished` tells the end.
    package func receive(worker: Int, milliseconds: Int?) -> Element? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        var until = timespec()
        if let milliseconds {
            unsafe clock_gettime(CLOCK_REALTIME, &until)
            let nanoseconds = until.tv_nsec + (milliseconds % 1000) * 1_000_000
            until.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
            until.tv_nsec = nanoseconds % 1_000_000_000
        }
        while true {
            if let element = take(worker) { return element }
            guard !isClosed else { return nil }
            workers[worker].isWaiting = true
            defer { workers[worker].isWaiting = false }
            let condition = unsafe conditions + worker
            if milliseconds == nil {
                unsafe pthread_cond_wait(condition, mutex)
            } else if unsafe pthread_cond_timedwait(condition, mutex, &until) == ETIMEDOUT {
                return take(worker)
            }
        }
    }

    /// True when they are closed and nothing is left for a worker.
    package func isFinished(worker: Int) -> Bool {
        whileLocked {
            isClosed && shared.isEmpty && workers[worker].urgent.isEmpty
                && workers[worker].own.isEmpty
        }
    }

    /// Nothing more will be sent; what is there can still be received.
    package func close() {
        whileLocked {
            isClosed = true
            for index in workers.indices { wake(index) }
        }
    }

    private func take(_ worker: Int) -> Element? {
        workers[worker].urgent.take() ?? shared.take() ?? workers[worker].own.take()
    }

    /// A worker that is woken does not count as waiting any more, so that the next task wakes
    /// another one.
    private func wake(_ worker: Int) {
        workers[worker].isWaiting = false
        unsafe pthread_cond_signal(conditions + worker)
    }

    private func whileLocked<Result>(_ body: () -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }
}

/// Elements in the order in which they came.
struct Fifo<Element> {
    /// Those before `first` were taken: moving all others up each time would cost the square of
    /// how many wait.
    private var elements: [Element?] = []
    private var first = 0

    var count: Int { elements.count - first }
    var isEmpty: Bool { count == 0 }

    mutating func reserveCapacity(_ count: Int) { elements.reserveCapacity(count) }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func take() -> Element? {
        guard count > 0 else { return nil }
        let element = elements[first].take()
        first += 1
        // Each element is moved up once on average, however many wait.
        if first == elements.count || first >= 64 && first * 2 >= elements.count {
            elements.removeFirst(first)
            first = 0
        }
        return element
    }
}
