/// The ready messages of one queue and priority: a line through the slots in the order they became
/// ready, and those that came back, the oldest first.
struct ReadyLine {
    private var head = Slot.none
    private var tail = Slot.none
    /// Numbers of those that came back, as a heap; some may have left already.
    private var returned: [UInt64] = []

    var isEmpty: Bool { head == Slot.none && returned.isEmpty }

    mutating func append(_ index: UInt32, _ slots: inout SlotTable) {
        slots[index].next = Slot.none
        slots[index].previous = tail
        if tail == Slot.none { head = index } else { slots[tail].next = index }
        tail = index
    }

    mutating func insertReturned(_ index: UInt32, _ slots: inout SlotTable) {
        slots[index].isReturned = true
        returned.append(slots[index].number)
        var place = returned.count - 1
        while place > 0, returned[(place - 1) / 2] > returned[place] {
            returned.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// Takes a slot out that stands here.
    mutating func remove(
        _ index: UInt32, _ slots: inout SlotTable, _ numbers: borrowing NumberTable
    ) {
        if slots[index].isReturned {
            slots[index].isReturned = false
            // Others stay in the heap until they come up.
            while let first = returned.first, !Self.isBack(first, slots, numbers) { popReturned() }
            return
        }
        let (previous, next) = (slots[index].previous, slots[index].next)
        if previous == Slot.none { head = next } else { slots[previous].next = next }
        if next == Slot.none { tail = previous } else { slots[next].previous = previous }
    }

    private static func isBack(
        _ number: UInt64, _ slots: borrowing SlotTable, _ numbers: borrowing NumberTable
    ) -> Bool {
        numbers.find(number, slots).map { slots[$0].isReturned } ?? false
    }

    private mutating func popReturned() {
        returned.swapAt(0, returned.count - 1)
        returned.removeLast()
        var place = 0
        while true {
            var child = 2 * place + 1
            if child >= returned.count { return }
            if child + 1 < returned.count, returned[child + 1] < returned[child] { child += 1 }
            if returned[place] <= returned[child] { return }
            returned.swapAt(place, child)
            place = child
        }
    }

    /// Goes over them in the order of delivery until `visit` says false. Nothing may change
    /// meanwhile but the marks of the slots.
    func forEach(
        _ slots: borrowing SlotTable, _ numbers: borrowing NumberTable, _ queue: UInt16,
        _ visit: (UInt32) -> Bool
    ) {
        var back = HeapWalk(returned)
        var index = head
        while true {
            var found: UInt32?
            while let number = back.next {
                found = numbers.find(number, slots)
                if let place = found, slots[place].isReturned, slots[place].queue == queue { break }
                found = nil
                back.advance(returned)
            }
            if let place = found,
                index == Slot.none || slots[place].number < slots[index].number
            {
                guard visit(place) else { return }
                back.advance(returned)
            } else if index != Slot.none {
                guard visit(index) else { return }
                index = slots[index].next
            } else {
                return
            }
        }
    }
}

/// The members of a heap in order, each once, without taking them out.
private struct HeapWalk {
    private(set) var next: UInt64?
    /// Places in the heap whose parents were given already; the smallest member's is last.
    private var places: [Int] = []

    init(_ heap: [UInt64]) {
        next = heap.first
        if !heap.isEmpty { places = [0] }
    }

    mutating func advance(_ heap: [UInt64]) {
        let last = next
        while let place = places.popLast() {
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count {
                var low = 0
                var high = places.count
                while low < high {
                    let middle = (low + high) / 2
                    if heap[places[middle]] > heap[child] {
                        low = middle + 1
                    } else {
                        high = middle
                    }
                }
                places.insert(child, at: low)
            }
            next = places.last.map { heap[$0] }
            if next != last { return }
        }
        next = nil
    }
}
