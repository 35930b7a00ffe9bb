/// From a message's number to its slot. Many small tables, so that growing one is no pause.
struct NumberTable {
    private static let shardCount = 4096
    private var shards: [Shard] = Array(repeating: Shard(), count: Self.shardCount)
    private(set) var count = 0

    struct Shard {
        var cells: [UInt32] = []
        var used = 0
    }

    /// Eight numbers in a row share a hash, so that neighbours lie in one line of the cache.
    private static func hash(_ number: UInt64) -> UInt64 {
        var mixed = (number >> 3) &* 0x9E37_79B9_7F4A_7C15
        mixed ^= mixed >> 29
        return mixed &* 0xBF58_476D_1CE4_E5B9
    }

    private static func home(_ number: UInt64, _ hash: UInt64, _ mask: Int) -> Int {
        (Int(truncatingIfNeeded: hash >> 12) << 3 | Int(number & 7)) & mask
    }

    func find(_ number: UInt64, _ slots: borrowing SlotTable) -> UInt32? {
        let hash = Self.hash(number)
        let shard = Int(hash & UInt64(Self.shardCount - 1))
        guard shards[shard].used > 0 else { return nil }
        let mask = shards[shard].cells.count - 1
        var cell = Self.home(number, hash, mask)
        while true {
            let index = shards[shard].cells[cell]
            if index == Slot.none { return nil }
            if slots[index].number == number { return index }
            cell = (cell + 1) & mask
        }
    }

    /// Adds a number that is not there.
    mutating func insert(_ number: UInt64, _ index: UInt32, _ slots: borrowing SlotTable) {
        let hash = Self.hash(number)
        let shard = Int(hash & UInt64(Self.shardCount - 1))
        if (shards[shard].used + 1) * 4 > shards[shard].cells.count * 3 {
            grow(shard, slots)
        }
        shards[shard].used += 1
        count += 1
        Self.put(index, number, hash, &shards[shard].cells)
    }

    /// Takes in the numbers of all slots, into tables that are large enough from the start. Only
    /// while it is empty.
    mutating func fill(_ slots: borrowing SlotTable) {
        precondition(count == 0)
        for index in 0..<slots.end where slots[index].state != nil {
            shards[Int(Self.hash(slots[index].number) & UInt64(Self.shardCount - 1))].used += 1
            count += 1
        }
        for shard in shards.indices where shards[shard].used > 0 {
            var size = 8
            while (shards[shard].used + 1) * 4 > size * 3 { size *= 2 }
            shards[shard].cells = [UInt32](repeating: Slot.none, count: size)
        }
        for index in 0..<slots.end where slots[index].state != nil {
            let number = slots[index].number
            let hash = Self.hash(number)
            let shard = Int(hash & UInt64(Self.shardCount - 1))
            Self.put(index, number, hash, &shards[shard].cells)
        }
    }

    private static func put(
        _ index: UInt32, _ number: UInt64, _ hash: UInt64, _ cells: inout [UInt32]
    ) {
        let mask = cells.count - 1
        var cell = home(number, hash, mask)
        while cells[cell] != Slot.none { cell = (cell + 1) & mask }
        cells[cell] = index
    }

    private mutating func grow(_ shard: Int, _ slots: borrowing SlotTable) {
        let old = shards[shard].cells
        var cells = [UInt32](repeating: Slot.none, count: max(8, old.count * 2))
        for index in old where index != Slot.none {
            let number = slots[index].number
            Self.put(index, number, Self.hash(number), &cells)
        }
        shards[shard].cells = cells
    }

    /// Takes a number out whose slot still has it.
    mutating func remove(_ number: UInt64, _ slots: borrowing SlotTable) {
        let hash = Self.hash(number)
        let shard = Int(hash & UInt64(Self.shardCount - 1))
        let mask = shards[shard].cells.count - 1
        var cell = Self.home(number, hash, mask)
        while slots[shards[shard].cells[cell]].number != number { cell = (cell + 1) & mask }
        // Those behind move up where that brings them nearer to their place.
        var hole = cell
        while true {
            cell = (cell + 1) & mask
            let index = shards[shard].cells[cell]
            if index == Slot.none { break }
            let other = slots[index].number
            let home = Self.home(other, Self.hash(other), mask)
            if (cell - home) & mask >= (cell - hole) & mask {
                shards[shard].cells[hole] = index
                hole = cell
            }
        }
        shards[shard].cells[hole] = Slot.none
        shards[shard].used -= 1
        count -= 1
        if shards[shard].used == 0, shards[shard].cells.count > 64 { shards[shard].cells = [] }
    }
}
