/// Ordering keys: whose turn it is.
extension QueueSet {
    /// True when it is a message's turn in its ordering key; otherwise it waits. One that keeps its
    /// place, because it went back from the dead, goes before all later ones that nobody has.
    mutating func enterKey(_ key: UInt64, _ index: UInt32) -> Bool {
        let (number, keepsPlace) = (slots[index].number, slots[index].keepsPlace)
        if keepsPlace {
            if let later = laterOne(key, index) {
                leaveLine(later)
                slots[later].isBlocked = true
                groups.goBefore(key, number)
                return true
            }
            if groups.isActive(key, number), let earlier = earlierOne(key, index) {
                slots[index].isBlocked = true
                slots[earlier].isBlocked = false
                groups.goBefore(key, slots[earlier].number)
                enterLine(earlier)
                return false
            }
        }
        if groups.enter(key, number, byNumber: keepsPlace) { return true }
        slots[index].isBlocked = true
        return false
    }

    /// The message whose turn it is, when it is a later one that can still wait.
    private func laterOne(_ key: UInt64, _ index: UInt32) -> UInt32? {
        guard let active = groups.active(key), active > slots[index].number,
            let later = numbers.find(active, slots), slots[later].state == .ready,
            slots[later].queue == slots[index].queue, !slots[later].isTouched
        else { return nil }
        return later
    }

    /// The first of those that wait, when it came before this one and keeps its place.
    private func earlierOne(_ key: UInt64, _ index: UInt32) -> UInt32? {
        let waiting = groups.waiting(key).filter { number in
            number < slots[index].number
                && numbers.find(number, slots).map {
                    slots[$0].isBlocked && slots[$0].keepsPlace && keys[number] == key
                } ?? false
        }
        return waiting.min().flatMap { numbers.find($0, slots) }
    }
}
