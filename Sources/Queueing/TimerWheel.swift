/// What happens when, for any number of slots: setting, moving and taking out cost the same for one
/// and for ten million. Eight wheels of 64 buckets, each bucket a list through the slots; a bucket
/// of a slower wheel is spread over the faster ones, bit by bit, when its time begins.
struct TimerWheel {
    private static let levels = 8
    private static let marker: UInt32 = 1 << 31

    private var heads = [UInt32](repeating: Slot.none, count: Self.levels * 64)
    private var tails = [UInt32](repeating: Slot.none, count: Self.levels * 64)
    private var occupied = [UInt64](repeating: 0, count: Self.levels)
    /// Nothing is due before this millisecond.
    private(set) var current: Int64 = 0
    private(set) var count = 0

    /// Sets the timer of a slot to its deadline, if it has one.
    mutating func insert(_ index: UInt32, _ slots: inout SlotTable) {
        let deadline = slots[index].deadline
        guard deadline > 0 else { return }
        count += 1
        slots[index].isTimed = true
        place(index, deadline, &slots)
    }

    private mutating func place(_ index: UInt32, _ deadline: Int64, _ slots: inout SlotTable) {
        let time = max(deadline, current)
        let difference = UInt64(time ^ current)
        let level = difference == 0 ? 0 : (63 - difference.leadingZeroBitCount) / 6
        let place = level * 64 + Int(time >> (6 * Int64(level)) & 63)
        // The ends of a list name its bucket, so that anyone can be taken out.
        slots[index].timerNext = Self.marker | UInt32(place)
        if heads[place] == Slot.none {
            heads[place] = index
            slots[index].timerPrevious = Self.marker | UInt32(place)
        } else {
            slots[index].timerPrevious = tails[place]
            slots[tails[place]].timerNext = index
        }
        tails[place] = index
        occupied[level] |= 1 << UInt64(place & 63)
    }

    /// Takes a slot's timer out, if it has one.
    mutating func remove(_ index: UInt32, _ slots: inout SlotTable) {
        guard slots[index].isTimed else { return }
        count -= 1
        slots[index].isTimed = false
        unlink(index, &slots)
    }

    private mutating func unlink(_ index: UInt32, _ slots: inout SlotTable) {
        let next = slots[index].timerNext
        let previous = slots[index].timerPrevious
        if previous >= Self.marker {
            let place = Int(previous & ~Self.marker)
            heads[place] = next >= Self.marker ? Slot.none : next
            if heads[place] == Slot.none { occupied[place / 64] &= ~(1 << UInt64(place & 63)) }
        } else {
            slots[previous].timerNext = next
        }
        if next >= Self.marker {
            tails[Int(next & ~Self.marker)] = previous >= Self.marker ? Slot.none : previous
        } else {
            slots[next].timerPrevious = previous
        }
    }

    /// The first bucket in time, and when it begins; of several, that of the slowest wheel.
    private func first() -> (time: Int64, level: Int, place: Int)? {
        var found: (time: Int64, level: Int, place: Int)?
        for level in 0..<Self.levels where occupied[level] != 0 {
            let shift = 6 * Int64(level)
            let now = UInt64(current >> shift & 63)
            let later = occupied[level] & (UInt64.max << now)
            guard later != 0 else { continue }
            let bucket = later.trailingZeroBitCount
            let above = (current >> (shift + 6)) << (shift + 6)
            let time = max(current, above | Int64(bucket) << shift)
            if found.map({ time <= $0.time }) ?? true {
                found = (time, level, level * 64 + bucket)
            }
        }
        return found
    }

    /// Not before this millisecond does anything happen; nil for never.
    var next: Int64? { first()?.time }

    /// Takes out the next slot whose deadline is not after `now`. Spends from `budget`; nil when
    /// nothing is due, or when it is used up.
    mutating func popDue(
        _ now: Int64, _ budget: inout Int, _ slots: inout SlotTable
    ) -> UInt32? {
        while budget > 0 {
            guard let (time, level, place) = first(), time <= now else {
                current = max(current, now)
                return nil
            }
            current = max(current, time)
            budget -= 1
            let index = heads[place]
            if level == 0 {
                remove(index, &slots)
                return index
            }
            unlink(index, &slots)
            self.place(index, slots[index].deadline, &slots)
        }
        return nil
    }

    /// Begins to count here; only while it is empty.
    mutating func start(at now: Int64) {
        precondition(count == 0)
        current = now
    }
}
