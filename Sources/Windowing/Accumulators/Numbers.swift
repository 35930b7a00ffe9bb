internal import Records

/// A sum: whole numbers exactly in 128 bits, others with Neumaier's compensation (1974).
///
/// Words: low and high half of the whole part, the rest, its compensation, and flags.
enum Sum {
    private static let hasAny: UInt64 = 1
    private static let isFraction: UInt64 = 2
    private static let isTooLarge: UInt64 = 4

    @inline(__always)
    static func add(_ own: Words, _ cell: Cell, _ columns: Columns) {
        own[4] |= hasAny
        if cell.rawKind == Cell.Kind.integer.rawValue {
            addWhole(own, Int128(cell.integer))
        } else {
            addOther(own, cell, columns)
        }
    }

    private static func addOther(_ own: Words, _ cell: Cell, _ columns: Columns) {
        if let whole = wholeNumber(cell, columns.text(of: cell)) {
            addWhole(own, whole)
        } else {
            own[4] |= isFraction
            Compensated.add(own.from(2), cell.double)
        }
    }

    static func merge(_ own: Words, _ other: Words) {
        addWhole(own, whole(other))
        own[4] |= other[4]
        Compensated.merge(own.from(2), other.from(2))
    }

    /// True when the whole part no longer fits 128 bits.
    static func hasOverflowed(_ own: Words) -> Bool { own[4] & isTooLarge != 0 }

    /// False when doubles have grown beyond their range.
    @inline(__always)
    static func isFinite(_ own: Words) -> Bool {
        own[4] & isFraction == 0 || Compensated.value(own.from(2)).isFinite
    }

    static func write(_ own: Words, into out: inout TextBuffer) {
        if own[4] & hasAny == 0 { return out.append(text: "null") }
        let whole = whole(own)
        if own[4] & isFraction != 0 {
            return out.append(number: Double(whole) + Compensated.value(own.from(2)))
        }
        if let small = Int64(exactly: whole) { return out.append(integer: small) }
        out.append(decimal: whole)
    }

    @inline(__always)
    private static func whole(_ own: Words) -> Int128 {
        Int128(truncatingIfNeeded: UInt128(own[1]) << 64 | UInt128(own[0]))
    }

    @inline(__always)
    private static func addWhole(_ own: Words, _ value: Int128) {
        let (sum, overflow) = whole(own).addingReportingOverflow(value)
        if overflow { own[4] |= isTooLarge }
        let bits = UInt128(truncatingIfNeeded: sum)
        own[0] = UInt64(truncatingIfNeeded: bits)
        own[1] = UInt64(truncatingIfNeeded: bits >> 64)
    }
}

/// A big number that is whole and fits 128 bits.
func wholeNumber(_ cell: Cell, _ text: ByteSlice) -> Int128? {
    guard cell.rawKind == Cell.Kind.big.rawValue, text.count > 0, text.count <= 40 else {
        return nil
    }
    var value: Int128 = 0
    let isNegative = text[0] == 0x2D
    for index in (isNegative ? 1 : 0)..<text.count {
        let digit = text[index]
        guard digit >= 0x30, digit <= 0x39 else { return nil }
        let (tens, first) = value.multipliedReportingOverflow(by: 10)
        let (next, second) = tens.subtractingReportingOverflow(Int128(digit - 0x30))
        if first || second { return nil }
        value = next
    }
    if isNegative { return value }
    return value == .min ? nil : -value
}

/// A sum of doubles and what it has lost, which together lose almost nothing (Neumaier, 1974).
enum Compensated {
    @inline(__always)
    static func add(_ own: Words, _ value: Double) {
        let sum = Double(bitPattern: own[0])
        let next = sum + value
        let lost = sum.magnitude >= value.magnitude ? (sum - next) + value : (value - next) + sum
        own[0] = next.bitPattern
        own[1] = (Double(bitPattern: own[1]) + lost).bitPattern
    }

    static func merge(_ own: Words, _ other: Words) {
        add(own, Double(bitPattern: other[0]))
        own[1] = (Double(bitPattern: own[1]) + Double(bitPattern: other[1])).bitPattern
    }

    static func value(_ own: Words) -> Double {
        let sum = Double(bitPattern: own[0])
        return sum.isFinite ? sum + Double(bitPattern: own[1]) : sum
    }
}

/// A mean. Words: how many, their sum, and what the sum has lost.
enum Average {
    @inline(__always)
    static func add(_ own: Words, _ value: Double) {
        own[0] &+= 1
        Compensated.add(own.from(1), value)
    }

    static func merge(_ own: Words, _ other: Words) {
        own[0] &+= other[0]
        Compensated.merge(own.from(1), other.from(1))
    }

    /// False when the sum has grown beyond the range of doubles.
    @inline(__always)
    static func isFinite(_ own: Words) -> Bool { Double(bitPattern: own[1]).isFinite }

    static func write(_ own: Words, into out: inout TextBuffer) {
        if own[0] == 0 { return out.append(text: "null") }
        out.append(number: Compensated.value(own.from(1)) / Double(own[0]))
    }
}

/// Sample variance by Welford (1962), merged as Chan, Golub and LeVeque (1979) do.
///
/// Words: how many, their mean, and the sum of squared distances from it.
enum Spread {
    static func add(_ own: Words, _ value: Double) {
        own[0] &+= 1
        let mean = Double(bitPattern: own[1])
        let delta = value - mean
        let next = mean + delta / Double(own[0])
        own[1] = next.bitPattern
        own[2] = (Double(bitPattern: own[2]) + delta * (value - next)).bitPattern
    }

    static func merge(_ own: Words, _ other: Words) {
        guard other[0] > 0 else { return }
        let left = Double(own[0])
        let right = Double(other[0])
        let delta = Double(bitPattern: other[1]) - Double(bitPattern: own[1])
        let total = left + right
        let mean = Double(bitPattern: own[1]) + delta * right / total
        let between = delta * delta * left * right / total
        own[0] &+= other[0]
        own[1] = mean.bitPattern
        own[2] =
            (Double(bitPattern: own[2]) + Double(bitPattern: other[2]) + between).bitPattern
    }

    /// False when squares have grown beyond the range of doubles.
    static func isFinite(_ own: Words) -> Bool {
        own[0] < 2 || Double(bitPattern: own[2]).isFinite
    }

    static func write(_ own: Words, isDeviation: Bool, into out: inout TextBuffer) {
        guard own[0] >= 2 else { return out.append(text: "null") }
        let variance = max(Double(bitPattern: own[2]), 0) / Double(own[0] - 1)
        out.append(number: isDeviation ? variance.squareRoot() : variance)
    }
}
