internal import Records

/// Different values and how often each came: equal values are the same bytes, whatever their text.
struct ValueCounts {
    private var slots: [UInt32] = []
    private var hashes: [UInt64] = []
    private var ends: [UInt32] = []
    private var bytes: [UInt8] = []
    private(set) var numbers: [UInt64] = []
    /// The last value asked for, so that nothing is allocated for it.
    private var asked: [UInt8] = []

    /// How many different values there are.
    var count: Int { numbers.count }

    var byteCount: Int {
        slots.capacity * 4 + hashes.capacity * 8 + ends.capacity * 4 + bytes.capacity
            + numbers.capacity * 8 + asked.capacity + 6 * 32
    }

    /// Counts a value; a new one is only taken when there are less than `limit`. Gives its hash.
    mutating func add(_ cell: Cell, _ text: ByteSlice, limit: Int = .max) -> UInt64 {
        setAsked(cell, text)
        return add(1, limit: limit)
    }

    /// Counts what another has counted.
    mutating func merge(_ other: ValueCounts, limit: Int = .max) {
        for index in 0..<other.count {
            asked.removeAll(keepingCapacity: true)
            asked += other.bytes[other.range(index)]
            _ = add(other.numbers[index], limit: limit)
        }
    }

    private mutating func add(_ number: UInt64, limit: Int) -> UInt64 {
        let hash = asked.withSlice { stableHash($0) }
        if slots.isEmpty { slots = Array(repeating: 0, count: 8) }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if hashes[index] == hash, bytes[range(index)].elementsEqual(asked) {
                numbers[index] += number
                return hash
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        guard count < limit else { return hash }
        bytes += asked
        ends.append(UInt32(bytes.count))
        hashes.append(hash)
        numbers.append(number)
        slots[slot] = UInt32(count)
        if count * 4 > slots.count * 3 { grow() }
        return hash
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: slots.count * 2)
        for index in hashes.indices {
            var slot = Int(truncatingIfNeeded: hashes[index]) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(index + 1)
        }
    }

    private func range(_ index: Int) -> Range<Int> {
        (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index])
    }

    /// 1 and 1.0 are the same, 1 and "1" are not: a letter for the kind, then a number's bits.
    private mutating func setAsked(_ cell: Cell, _ text: ByteSlice) {
        asked.removeAll(keepingCapacity: true)
        switch cell.kind {
        case .integer: setNumber(0x69, cell.bits)
        case .number:
            let number = cell.double
            if number == number.rounded(), number.magnitude < 0x1p63 {
                setNumber(0x69, UInt64(bitPattern: Int64(number)))
            } else {
                setNumber(0x64, number.bitPattern)
            }
        case .boolean: setNumber(0x62, cell.bits)
        case .big:
            asked.append(0x2B)
            unsafe asked.append(contentsOf: text.raw)
        case .missing, .string, .composite: unsafe asked.append(contentsOf: text.raw)
        }
    }

    private mutating func setNumber(_ letter: UInt8, _ bits: UInt64) {
        asked.append(letter)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            asked.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
    }

    /// The hashes of all values.
    var allHashes: [UInt64] { hashes }

    /// A value as a cell with its text.
    private func withValue<Result>(
        _ index: Int, _ body: (Cell, ByteSlice) -> Result
    ) -> Result {
        let range = range(index)
        var bits: UInt64 = 0
        let letter = bytes[range.lowerBound]
        if letter == 0x69 || letter == 0x64 || letter == 0x62 {
            for at in (1..<range.count).reversed() {
                bits = bits << 8 | UInt64(bytes[range.lowerBound + at])
            }
        }
        return bytes.withSlice { all in
            let text = all.slice(range)
            switch letter {
            case 0x69: return body(Cell(.integer, bits: bits), .empty)
            case 0x64: return body(Cell(.number, bits: bits), .empty)
            case 0x62: return body(Cell(.boolean, bits: bits), .empty)
            case 0x2B:
                let digits = text.slice(1..<text.count)
                return body(Cell(.big, bits: Self.double(digits).bitPattern), digits)
            case 0x22: return body(Cell(.string), text)
            default: return body(Cell(.composite), text)
            }
        }
    }

    private static func double(_ text: ByteSlice) -> Double {
        Double(String(decoding: text.array, as: UTF8.self)) ?? 0
    }

    /// True when one value comes before another.
    func isBefore(_ left: Int, _ right: Int) -> Bool {
        withValue(left) { cell, text in
            withValue(right) { compareValues(cell, text, $0, $1) < 0 }
        }
    }

    /// The values in the order of how often they came, equals in the order of values.
    func ranked(_ wanted: Int) -> [Int] {
        var order = Array(0..<count)
        order.sort { numbers[$0] != numbers[$1] ? numbers[$0] > numbers[$1] : isBefore($0, $1) }
        return Array(order.prefix(wanted))
    }

    func write(_ index: Int, into out: inout TextBuffer) {
        var copy = TextBuffer(capacity: 32)
        withValue(index) { cell, text in
            if text.count > 0 { return copy.append(text) }
            switch cell.kind {
            case .integer: copy.append(integer: cell.integer)
            case .boolean: copy.append(string: cell.bits == 1 ? "true" : "false")
            default: copy.append(number: cell.double)
            }
        }
        out.append(copy.bytes)
    }

    func encode(into out: inout ByteWriter) {
        out.write(count: count)
        for index in 0..<count {
            out.write(Array(bytes[range(index)]))
            out.write(count: Int(numbers[index]))
        }
    }

    init() {}

    init(_ reader: inout ByteReader) {
        for _ in 0..<reader.count() {
            asked = reader.bytes()
            _ = add(reader.number(), limit: .max)
        }
    }
}
