/// The value of a JSON number's text, in a form in which equal values look the same.
struct Numeral: Equatable {
    /// True below zero.
    private(set) var isNegative = false
    /// The digits without zeros at either end; none for zero.
    private(set) var digits: [UInt8] = []
    /// The power of ten of the last digit.
    private(set) var exponent = 0

    /// Reads a text that is a JSON number; nil when its exponent exceeds 64 bits.
    init?(_ text: some Sequence<UInt8>) {
        var isFraction = false
        var exponentText: [UInt8]?
        for byte in text {
            switch byte {
            case 0x2D where exponentText == nil: isNegative = true
            case 0x2E: isFraction = true
            case 0x65, 0x45: exponentText = []
            case _ where exponentText != nil: exponentText?.append(byte)
            default:
                if isFraction { exponent -= 1 }
                if byte != 0x30 || !digits.isEmpty { digits.append(byte) }
            }
        }
        while digits.last == 0x30 {
            digits.removeLast()
            exponent += 1
        }
        guard !digits.isEmpty else {
            isNegative = false
            exponent = 0
            return
        }
        guard let exponentText else { return }
        guard let scale = Int(String(decoding: exponentText, as: UTF8.self)) else { return nil }
        let (sum, hasOverflowed) = exponent.addingReportingOverflow(scale)
        guard !hasOverflowed else { return nil }
        exponent = sum
    }
}
