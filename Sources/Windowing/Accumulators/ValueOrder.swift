internal import Records

/// Orders two numbers exactly, also a 64-bit integer and a double.
@inline(__always)
func compareNumbers(_ left: Cell, _ right: Cell) -> Int {
    let integer = Cell.Kind.integer.rawValue
    if left.rawKind == integer, right.rawKind == integer {
        return left.integer == right.integer ? 0 : left.integer < right.integer ? -1 : 1
    }
    if left.rawKind != integer, right.rawKind != integer {
        let one = Double(bitPattern: left.bits)
        let other = Double(bitPattern: right.bits)
        return one == other ? 0 : one < other ? -1 : 1
    }
    if left.rawKind == integer { return compare(left.integer, Double(bitPattern: right.bits)) }
    return -compare(right.integer, Double(bitPattern: left.bits))
}

private func compare(_ integer: Int64, _ number: Double) -> Int {
    if number >= 0x1p63 { return -1 }
    if number < -0x1p63 { return 1 }
    let whole = Int64(number.rounded(.down))
    if integer != whole { return integer < whole ? -1 : 1 }
    return number > number.rounded(.down) ? -1 : 0
}

/// Orders any two values: numbers, truth values, texts by their bytes, then objects and lists.
func compareValues(_ left: Cell, _ leftText: ByteSlice, _ right: Cell, _ rightText: ByteSlice)
    -> Int
{
    let rank = rankOf(left.kind)
    let otherRank = rankOf(right.kind)
    if rank != otherRank { return rank - otherRank }
    switch rank {
    case 0:
        let order = compareNumbers(left, right)
        if order != 0 || (left.kind != .big && right.kind != .big) { return order }
        let one = wholeNumber(left, leftText)
        let other = wholeNumber(right, rightText)
        if let one, let other { return one == other ? 0 : one < other ? -1 : 1 }
        return leftText.compare(rightText)
    case 1: return left.bits == right.bits ? 0 : left.bits < right.bits ? -1 : 1
    case 2: return compareTexts(leftText, rightText)
    default: return leftText.compare(rightText)
    }
}

private func rankOf(_ kind: Cell.Kind) -> Int {
    switch kind {
    case .missing, .integer, .number, .big: 0
    case .boolean: 1
    case .string: 2
    case .composite: 3
    }
}

/// Orders two JSON strings by the bytes that they stand for.
func compareTexts(_ left: ByteSlice, _ right: ByteSlice) -> Int {
    var one = 1
    var other = 1
    while true {
        let first = nextByte(left, &one)
        let second = nextByte(right, &other)
        if first != second { return first < second ? -1 : 1 }
        if first < 0 { return 0 }
    }
}

/// The next byte of a JSON string, or -1 at its closing quote.
private func nextByte(_ text: ByteSlice, _ at: inout Int) -> Int {
    guard at < text.count else { return -1 }
    let byte = text[at]
    at += 1
    if byte == 0x22 {
        at = text.count
        return -1
    }
    guard byte == 0x5C, at < text.count else { return Int(byte) }
    let escape = text[at]
    at += 1
    switch escape {
    case 0x6E: return 0x0A
    case 0x74: return 0x09
    case 0x72: return 0x0D
    case 0x62: return 0x08
    case 0x66: return 0x0C
    case 0x75:
        var unit = 0
        for _ in 0..<4 where at < text.count {
            unit = unit << 4 | Int(hexDigit(text[at]))
            at += 1
        }
        // What is still escaped is a control character, or half of a surrogate pair.
        return unit < 0x80 ? unit : 0xED
    default: return Int(escape)
    }
}

private func hexDigit(_ byte: UInt8) -> UInt8 {
    byte <= 0x39 ? byte &- 0x30 : (byte | 0x20) &- 0x61 &+ 10
}
