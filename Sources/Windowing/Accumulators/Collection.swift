internal import Records

/// The values in the order of time, then of arrival, the first so many.
final class CollectionSide: Side {
    private struct Item {
        var time: Int64
        var sequence: UInt64
        var bytes: [UInt8]
    }

    private let limit: Int
    private var items: [Item] = []

    init(limit: Int) { self.limit = limit }

    override func add(_ cell: Cell, _ columns: Columns, time: Int64, sequence: UInt64) {
        let place = place(time, sequence)
        guard place < limit else { return }
        let text = columns.text(of: cell)
        var bytes = text.array
        if text.count == 0 {
            var out = TextBuffer(capacity: 32)
            let none = SideStore()
            Place.write(UInt64(cell.rawKind), cell.bits, none, into: &out)
            bytes = out.bytes.array
        }
        insert(Item(time: time, sequence: sequence, bytes: bytes), at: place)
    }

    override func merge(_ other: Side) {
        guard let other = other as? CollectionSide else { return }
        for item in other.items {
            let place = place(item.time, item.sequence)
            guard place < limit else { return }
            insert(item, at: place)
        }
    }

    private func insert(_ item: Item, at place: Int) {
        if items.count == limit { items.removeLast() }
        items.insert(item, at: place)
    }

    private func place(_ time: Int64, _ sequence: UInt64) -> Int {
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if (items[middle].time, items[middle].sequence) < (time, sequence) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    override func write(_ function: AggregateFunction, into out: inout TextBuffer) {
        out.append(0x5B)
        for (index, item) in items.enumerated() {
            if index > 0 { out.append(0x2C) }
            out.append(item.bytes)
        }
        out.append(0x5D)
    }

    override func encode(into out: inout ByteWriter) {
        out.write(count: items.count)
        for item in items {
            out.write(time: item.time)
            out.write(item.sequence)
            out.write(item.bytes)
        }
    }

    init(limit: Int, _ reader: inout ByteReader) {
        self.limit = limit
        for _ in 0..<reader.count() {
            items.append(
                Item(time: reader.time(), sequence: reader.word(), bytes: reader.bytes()))
        }
    }

    override func copy() -> Side {
        let copy = CollectionSide(limit: limit)
        copy.items = items
        return copy
    }

    override var byteCount: Int {
        items.reduce(items.capacity * 24) { $0 + 32 + $1.bytes.capacity }
    }
}
