extension Transaction {
    /// Takes messages out of a queue, whatever their state, as if they had never been; numbers that
    /// are not there are passed over. Returns how many there were.
    @discardableResult
    public mutating func discard(_ numbers: [UInt64], from handle: QueueHandle) -> Int {
        var written: [UInt64] = []
        var isDurable = false
        for number in numbers {
            guard let index = queues.numbers.find(number, queues.slots),
                queues.slots[index].queue == handle.number, !queues.slots[index].isTouched
            else { continue }
            touch(index)
            written.append(number)
            isDurable = isDurable || queues.slots[index].segment != Self.volatileSegment
        }
        guard !written.isEmpty else { return 0 }
        require(queues.queues[Int(handle.number)].settings.durability)
        plan(.removes(written))
        return written.count
    }
}
