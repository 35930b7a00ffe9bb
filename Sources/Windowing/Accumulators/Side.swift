internal import Records

/// What grows with the values of an entry, and so has no room in its words.
class Side {
    /// Adds a value that is there.
    func add(_ cell: Cell, _ columns: Columns, time: Int64, sequence: UInt64) {}
    /// Adds what another of the same kind holds; that one stays as it is.
    func merge(_ other: Side) {}
    /// Writes the value of the computed field.
    func write(_ function: AggregateFunction, into out: inout TextBuffer) {}
    /// Appends everything, so that it can be made again from the bytes.
    func encode(into out: inout ByteWriter) {}
    /// Another that holds the same.
    func copy() -> Side { Side() }
    /// Bytes taken beyond the object.
    var byteCount: Int { 0 }
}

/// The objects behind the words of entries, by their place; 0 is none.
final class SideStore {
    private var items: [Side?] = []
    private var free: [UInt32] = []

    @inline(__always)
    subscript(place: UInt64) -> Side? { place == 0 ? nil : items[Int(place) - 1] }

    /// How many there are.
    var count: Int { items.count - free.count }

    /// Bytes taken, about: of many objects a few hundred are asked, because batches ask often.
    var byteCount: Int {
        let step = max(1, items.count / 256)
        var sum = 0
        for index in stride(from: 0, to: items.count, by: step) {
            if let item = items[index] { sum += 48 + item.byteCount }
        }
        return items.capacity * 8 + free.capacity * 4 + sum * step
    }

    func insert(_ side: Side) -> UInt64 {
        if let place = free.popLast() {
            items[Int(place)] = side
            return UInt64(place) + 1
        }
        items.append(side)
        return UInt64(items.count)
    }

    func release(_ place: UInt64) {
        guard place > 0 else { return }
        items[Int(place) - 1] = nil
        free.append(UInt32(place - 1))
        if free.count == items.count {
            items = []
            free = []
        } else if free.count > 1024, items[items.count - 1] == nil, free.count * 4 > items.count * 3
        {
            trim()
        }
    }

    /// Gives back the end of the list when most of it is free.
    private func trim() {
        var limit = items.count
        while limit > 0, items[limit - 1] == nil { limit -= 1 }
        guard limit * 2 < items.count else { return }
        items = Array(items[..<limit])
        free = free.filter { $0 < limit }
    }
}

/// A text: a value as JSON, or the accumulator of an aggregate in Lua.
final class TextSide: Side {
    var bytes: [UInt8]

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    /// Puts another text there, in the same memory when it fits.
    func set(_ text: ByteSlice) {
        bytes.removeAll(keepingCapacity: true)
        unsafe bytes.append(contentsOf: text.raw)
    }

    override func encode(into out: inout ByteWriter) { out.write(bytes) }
    override func copy() -> Side { TextSide(bytes) }
    override var byteCount: Int { 32 + bytes.capacity }
}
