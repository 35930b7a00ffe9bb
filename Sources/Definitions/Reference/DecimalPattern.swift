internal import Connecting

/// Regular expressions for decimal numbers between bounds, with any number of leading zeros.
enum DecimalPattern {
    /// Numbers from `low` to `high`, or without an upper bound.
    static func between(_ low: Int64, _ high: Int64?) -> String {
        if low == 0, high == nil { return "[0-9]+" }
        return "0*" + group(lengths(Array("\(low)".utf8), high.map { Array("\($0)".utf8) }))
    }

    /// Bounds of their own for numbers of as many digits as a bound has; between them any do.
    private static func lengths(_ low: [UInt8], _ high: [UInt8]?) -> [String] {
        if let high, high.count == low.count { return [sameLength(low, high)] }
        var parts: [String] = []
        var shortest = low.count
        if low != one(low.count) {
            parts.append(sameLength(low, nines(low.count)))
            shortest += 1
        }
        guard let high else { return parts + ["[1-9]\(any(shortest - 1, nil))"] }
        if shortest < high.count { parts.append("[1-9]\(any(shortest - 1, high.count - 2))") }
        return parts + [sameLength(one(high.count), high)]
    }

    private static func one(_ count: Int) -> [UInt8] {
        [0x31] + Array(repeating: 0x30, count: count - 1)
    }

    private static func nines(_ count: Int) -> [UInt8] { Array(repeating: 0x39, count: count) }

    /// Numbers of as many digits as both bounds have.
    private static func sameLength(_ low: [UInt8], _ high: [UInt8]) -> String {
        guard let first = low.first, let last = high.first else { return "" }
        let (lowRest, highRest) = (Array(low.dropFirst()), Array(high.dropFirst()))
        if first == last { return digits(first, first) + sameLength(lowRest, highRest) }
        // What begins with the first digit of a bound has a bound for its rest, unless any will do.
        let isLowFree = lowRest.allSatisfy { $0 == 0x30 }
        let isHighFree = highRest.allSatisfy { $0 == 0x39 }
        var parts: [String] = []
        if !isLowFree {
            parts.append(digits(first, first) + sameLength(lowRest, nines(lowRest.count)))
        }
        let (from, to) = (isLowFree ? first : first + 1, isHighFree ? last : last - 1)
        if from <= to { parts.append(digits(from, to) + any(lowRest.count)) }
        if !isHighFree {
            let zeros = [UInt8](repeating: 0x30, count: highRest.count)
            parts.append(digits(last, last) + sameLength(zeros, highRest))
        }
        return group(parts)
    }

    private static func digits(_ first: UInt8, _ last: UInt8) -> String {
        let (low, high) = (Character(UnicodeScalar(first)), Character(UnicodeScalar(last)))
        return first == last ? "\(low)" : "[\(low)-\(high)]"
    }

    private static func any(_ count: Int) -> String { any(count, count) }

    /// So many digits, at least and at most.
    private static func any(_ least: Int, _ most: Int?) -> String {
        switch (least, most) {
        case (0, 0): ""
        case (1, 1): "[0-9]"
        case (0, nil): "[0-9]*"
        case (_, nil): "[0-9]{\(least),}"
        case (_, .some(let most)): "[0-9]{\(least == most ? "\(least)" : "\(least),\(most)")}"
        }
    }

    private static func group(_ parts: [String]) -> String {
        parts.count == 1 ? parts[0] : "(\(parts.joined(separator: "|")))"
    }
}

/// Regular expressions for durations and sizes.
enum QuantityPattern {
    /// The durations of a form.
    static func of(_ form: DurationForm) -> String {
        let millisecond: Int64 = 1_000_000
        var alternatives = Alternatives()
        for unit in durationUnits {
            // Whole milliseconds in a shorter unit end in zeros.
            let isShort = form.isWholeMilliseconds && unit.nanoseconds < millisecond
            let step = isShort ? millisecond : unit.nanoseconds
            guard var digits = digits(form.minimum, form.maximum, step) else { continue }
            if isShort {
                digits += "0{\("\(millisecond / unit.nanoseconds)".count - 1)}"
                if form.minimum == 0 { digits = "(\(digits)|0+)" }
            }
            alternatives.add(digits, unit.name)
        }
        return "^\(form.isSigned ? "-?" : "")\(alternatives.pattern)$"
    }

    /// The sizes within bounds.
    static func of(_ range: ClosedRange<Int>) -> String {
        var alternatives = Alternatives()
        for unit in byteSizeUnits {
            let digits = digits(Int64(range.lowerBound), Int64(range.upperBound), unit.bytes)
            if let digits { alternatives.add(digits, unit.name) }
        }
        return "^\(alternatives.pattern)$"
    }

    private static func digits(_ low: Int64, _ high: Int64, _ factor: Int64) -> String? {
        let least = low / factor + (low.isMultiple(of: factor) ? 0 : 1)
        if high == .max { return DecimalPattern.between(least, nil) }
        return least <= high / factor ? DecimalPattern.between(least, high / factor) : nil
    }

    /// Digits, each with the units that may follow.
    private struct Alternatives {
        private var parts: [(digits: String, units: [String])] = []

        mutating func add(_ digits: String, _ unit: String) {
            if let index = parts.firstIndex(where: { $0.digits == digits }) {
                parts[index].units.append(unit)
            } else {
                parts.append((digits, [unit]))
            }
        }

        var pattern: String {
            let texts = parts.map { "\($0.digits) *(\($0.units.joined(separator: "|")))" }
            return texts.count == 1 ? texts[0] : "(\(texts.joined(separator: "|")))"
        }
    }
}
