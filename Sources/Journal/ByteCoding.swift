/// Numbers as little-endian bytes, which is how everything in a store is written.
extension [UInt8] {
    @inlinable
    package mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        unsafe Swift.withUnsafeBytes(of: number.littleEndian) { unsafe append(contentsOf: $0) }
    }

    @inlinable
    package mutating func set<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        var rest = number
        for index in 0..<(Number.bitWidth / 8) {
            self[offset + index] = UInt8(truncatingIfNeeded: rest)
            rest = Number.bitWidth > 8 ? rest >> 8 : 0
        }
    }

    @inlinable
    package mutating func put(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}

extension RawSpan {
    /// A little-endian number.
    @inlinable
    package func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type, at offset: Int
    )
        -> Number
    {
        precondition(offset >= 0 && offset + Number.bitWidth / 8 <= byteCount)
        return unsafe Number(
            littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    /// True when there is no byte but zeros.
    var isZero: Bool {
        var index = 0
        while index + 8 <= byteCount {
            if number(UInt64.self, at: index) != 0 { return false }
            index += 8
        }
        while index < byteCount {
            if number(UInt8.self, at: index) != 0 { return false }
            index += 1
        }
        return true
    }
}
