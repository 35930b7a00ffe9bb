/// What is due when: a binary heap (Williams, 1964) of moments with what they are about.
///
/// Entries are not taken back; whoever pops one checks whether it still means something.
struct TimerHeap {
    struct Timer {
        var time: Int64
        /// Decides between equal times.
        var order: UInt64
        /// A node or a key.
        var target: UInt32
        /// Of the node, so that another one under the same number is told apart.
        var generation: UInt16

        @inline(__always)
        static func < (left: Timer, right: Timer) -> Bool {
            left.time != right.time ? left.time < right.time : left.order < right.order
        }
    }

    private var timers: [Timer] = []

    /// The earliest moment; `Int64.max` when there is none.
    var first: Int64 { timers.first?.time ?? .max }
    var count: Int { timers.count }
    var byteCount: Int { timers.capacity * MemoryLayout<Timer>.stride }

    mutating func push(_ timer: Timer) {
        timers.append(timer)
        var child = timers.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if !(timer < timers[parent]) { break }
            timers[child] = timers[parent]
            child = parent
        }
        timers[child] = timer
    }

    mutating func pop() -> Timer? {
        guard let top = timers.first, let last = timers.popLast() else { return nil }
        if timers.isEmpty {
            timers = []
            return top
        }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= timers.count { break }
            if child + 1 < timers.count, timers[child + 1] < timers[child] { child += 1 }
            if !(timers[child] < last) { break }
            timers[parent] = timers[child]
            parent = child
        }
        timers[parent] = last
        if timers.capacity > 256, timers.count * 8 < timers.capacity { timers = Array(timers) }
        return top
    }

    /// All of them, in no order.
    var all: [Timer] { timers }

    /// Replaces targets; those without a new one go.
    mutating func rename(_ rename: (Timer) -> UInt32?) {
        let known = timers
        timers = []
        for var timer in known {
            guard let target = rename(timer) else { continue }
            timer.target = target
            push(timer)
        }
    }
}
