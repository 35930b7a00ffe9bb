internal import Records

/// JSON text in the making, written without asking for room byte by byte.
@safe
struct TextBuffer: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 512) {
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
    }

    deinit { unsafe base.deallocate() }

    var bytes: ByteSlice { unsafe ByteSlice(base, count) }

    mutating func removeAll() { count = 0 }

    mutating func truncate(to length: Int) { count = min(count, length) }

    @inline(__always)
    mutating func reserve(_ additional: Int) {
        if count + additional > capacity { grow(additional) }
    }

    private mutating func grow(_ additional: Int) {
        let grown = max(count + additional, capacity * 2)
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: grown)
        unsafe fresh.initialize(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = fresh
        capacity = grown
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        reserve(1)
        unsafe base[count] = byte
        count += 1
    }

    @inline(__always)
    mutating func append(_ slice: ByteSlice) {
        reserve(slice.count)
        unsafe UnsafeMutableRawBufferPointer(start: base + count, count: slice.count)
            .copyMemory(from: slice.raw)
        count += slice.count
    }

    @inline(__always)
    mutating func append(_ bytes: [UInt8]) {
        reserve(bytes.count)
        unsafe bytes.withUnsafeBytes { source in
            unsafe UnsafeMutableRawBufferPointer(start: base + count, count: source.count)
                .copyMemory(from: source)
        }
        count += bytes.count
    }

    mutating func append(text: StaticString) {
        unsafe append(ByteSlice(text.utf8Start, text.utf8CodeUnitCount))
    }

    mutating func append(string: String) {
        var string = string
        string.withUTF8 { text in unsafe append(ByteSlice(text.baseAddress, text.count)) }
    }

    @inline(__always)
    mutating func append(integer: Int64) {
        if integer < 0 { append(0x2D) }
        append(unsigned: integer.magnitude)
    }

    mutating func append(unsigned value: UInt64) {
        reserve(20)
        var length = 1
        var bound: UInt64 = 10
        while length < 20, value >= bound {
            length += 1
            bound = length < 20 ? bound &* 10 : .max
        }
        var rest = value
        var at = count + length - 1
        while rest >= 10 {
            let next = rest / 10
            unsafe base[at] = 0x30 + UInt8(truncatingIfNeeded: rest &- next &* 10)
            rest = next
            at -= 1
        }
        unsafe base[at] = 0x30 + UInt8(truncatingIfNeeded: rest)
        count += length
    }

    mutating func append(decimal: Int128) {
        if decimal < 0 { append(0x2D) }
        append(digitsOf: decimal.magnitude)
    }

    private mutating func append(digitsOf value: UInt128) {
        let unit: UInt128 = 10_000_000_000_000_000_000
        guard value >= unit else { return append(unsigned: UInt64(value)) }
        append(digitsOf: value / unit)
        append(digits: UInt64(value % unit), 19)
    }

    /// The shortest text that reads back as the same number; null for what JSON cannot write.
    mutating func append(number: Double) {
        guard number.isFinite else { return append(text: "null") }
        let magnitude = number.magnitude
        // Most numbers have few decimals: they are whole once multiplied by a million, and without
        // the zeros at the end that is their shortest text.
        let scale = 1_000_000.0
        if magnitude < 1e9, magnitude >= 1e-3 {
            let whole = (magnitude * scale).rounded()
            if whole / scale == magnitude {
                return append(millionths: UInt64(whole), isNegative: number < 0)
            }
        }
        append(string: number.description)
    }

    private mutating func append(millionths value: UInt64, isNegative: Bool) {
        if isNegative { append(0x2D) }
        append(unsigned: value / 1_000_000)
        append(0x2E)
        var rest = value % 1_000_000
        var digits = 6
        while digits > 1, rest % 10 == 0 {
            rest /= 10
            digits -= 1
        }
        append(digits: rest, digits)
    }

    /// `"2026-11-23T15:00:00.000Z"`, with the quotes.
    mutating func append(time milliseconds: Int64) {
        let days = floorDivision(milliseconds, 86_400_000)
        let rest = UInt64(milliseconds - days * 86_400_000)
        let date = CivilDate(days: days)
        append(0x22)
        if date.year < 0 { append(0x2D) }
        append(digits: date.year.magnitude, date.year > 9999 ? 6 : 4)
        append(0x2D)
        append(digits: UInt64(date.month), 2)
        append(0x2D)
        append(digits: UInt64(date.day), 2)
        append(0x54)
        append(digits: rest / 3_600_000, 2)
        append(0x3A)
        append(digits: rest / 60_000 % 60, 2)
        append(0x3A)
        append(digits: rest / 1000 % 60, 2)
        append(0x2E)
        append(digits: rest % 1000, 3)
        append(0x5A)
        append(0x22)
    }

    private mutating func append(digits value: UInt64, _ length: Int) {
        reserve(length)
        var rest = value
        var at = count + length - 1
        while at >= count {
            unsafe base[at] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            at -= 1
        }
        count += length
    }
}

/// What `floorDivision` leaves, never negative for a positive divisor.
@inline(__always)
func floorModulo(_ value: Int64, _ divisor: Int64) -> Int64 {
    let rest = value % divisor
    return rest < 0 ? rest + divisor : rest
}

/// A sum that stops at the limits of 64 bits, for times near the end of time.
@inline(__always)
func clamped(_ left: Int64, plus right: Int64) -> Int64 {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? (right < 0 ? .min : .max) : sum
}
