internal import Records

/// An estimate of how many different hashes there were (Flajolet, Fusy, Gandouet, Meunier, 2007),
/// with 2^14 registers right within about 0.8 %; few values are counted by empty registers.
struct HyperLogLog {
    private static let bits: UInt64 = 14
    private(set) var registers = [UInt8](repeating: 0, count: 1 << 14)

    init() {}

    init(_ registers: [UInt8]) {
        if registers.count == self.registers.count { self.registers = registers }
    }

    mutating func add(_ hash: UInt64) {
        let register = Int(hash >> (64 - Self.bits))
        let rest = hash << Self.bits | 1 << (Self.bits - 1)
        let rank = UInt8(rest.leadingZeroBitCount + 1)
        if registers[register] < rank { registers[register] = rank }
    }

    mutating func merge(_ other: HyperLogLog) {
        for index in registers.indices where registers[index] < other.registers[index] {
            registers[index] = other.registers[index]
        }
    }

    var count: Int {
        let number = Double(registers.count)
        var sum = 0.0
        var zeros = 0
        for register in registers {
            sum += 1 / Double(UInt64(1) << UInt64(register))
            if register == 0 { zeros += 1 }
        }
        let estimate = 0.7213 / (1 + 1.079 / number) * number * number / sum
        if estimate <= 2.5 * number, zeros > 0 {
            return Int((number * naturalLogarithm(number / Double(zeros))).rounded())
        }
        return Int(estimate.rounded())
    }
}

/// How many different values: exactly up to 1,000, then estimated.
final class DistinctSide: Side {
    private static let exactLimit = 1000
    private var values = ValueCounts()
    private var estimate: HyperLogLog?

    override init() {}

    override func add(_ cell: Cell, _ columns: Columns, time: Int64, sequence: UInt64) {
        let limit = estimate == nil ? Self.exactLimit + 1 : 0
        let hash = values.add(cell, columns.text(of: cell), limit: limit)
        if estimate != nil { estimate?.add(hash) } else { estimateBeyondLimit() }
    }

    private func estimateBeyondLimit() {
        if values.count > Self.exactLimit { startEstimate() }
    }

    private func startEstimate() {
        var fresh = HyperLogLog()
        for hash in values.allHashes { fresh.add(hash) }
        values = ValueCounts()
        estimate = fresh
    }

    override func merge(_ other: Side) {
        guard let other = other as? DistinctSide else { return }
        if let theirs = other.estimate {
            if estimate == nil { startEstimate() }
            estimate?.merge(theirs)
        } else if estimate == nil {
            values.merge(other.values)
            estimateBeyondLimit()
        } else {
            for hash in other.values.allHashes { estimate?.add(hash) }
        }
    }

    override func write(_ function: AggregateFunction, into out: inout TextBuffer) {
        out.append(integer: Int64(estimate?.count ?? values.count))
    }

    override func encode(into out: inout ByteWriter) {
        out.write(estimate?.registers ?? [])
        values.encode(into: &out)
    }

    init(_ reader: inout ByteReader) {
        let registers = reader.bytes()
        if !registers.isEmpty { estimate = HyperLogLog(registers) }
        values = ValueCounts(&reader)
    }

    override func copy() -> Side {
        let copy = DistinctSide()
        copy.values = values
        copy.estimate = estimate
        return copy
    }

    override var byteCount: Int { values.byteCount + (estimate?.registers.count ?? 0) }
}

/// How often each value came; exact for the first 10,000 different ones, further ones are not
/// counted.
final class FrequencySide: Side {
    private static let limit = 10_000
    private var values = ValueCounts()

    override init() {}

    override func add(_ cell: Cell, _ columns: Columns, time: Int64, sequence: UInt64) {
        _ = values.add(cell, columns.text(of: cell), limit: Self.limit)
    }

    override func merge(_ other: Side) {
        guard let other = other as? FrequencySide else { return }
        values.merge(other.values, limit: Self.limit)
    }

    override func write(_ function: AggregateFunction, into out: inout TextBuffer) {
        guard case .top(let wanted) = function else {
            guard let best = values.ranked(1).first else { return out.append(text: "null") }
            return values.write(best, into: &out)
        }
        out.append(0x5B)
        for (place, index) in values.ranked(wanted).enumerated() {
            if place > 0 { out.append(0x2C) }
            out.append(text: "{\"value\":")
            values.write(index, into: &out)
            out.append(text: ",\"count\":")
            out.append(unsigned: values.numbers[index])
            out.append(0x7D)
        }
        out.append(0x5D)
    }

    override func encode(into out: inout ByteWriter) { values.encode(into: &out) }

    init(_ reader: inout ByteReader) { values = ValueCounts(&reader) }

    override func copy() -> Side {
        let copy = FrequencySide()
        copy.values = values
        return copy
    }

    override var byteCount: Int { values.byteCount }
}
