/// How a text file begins: with a mark that it is UTF-8, which is passed over, or in an encoding
/// that is not read.
package enum TextStart: Sendable, Hashable {
    /// So many bytes are no text.
    case text(skipped: Int)
    /// UTF-16, by its mark or by its zeros.
    case utf16
    /// More bytes have to come before it can be told.
    case unknown

    /// Looks at the first bytes; `isEnd` when there are no more.
    package init(_ bytes: UnsafeRawBufferPointer, isEnd: Bool) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        if bytes.count >= 2 {
            let (first, second) = unsafe (bytes[0], bytes[1])
            let isMarked = (first == 0xFF && second == 0xFE) || (first == 0xFE && second == 0xFF)
            if isMarked || (first == 0) != (second == 0) {
                self = .utf16
                return
            }
        }
        let common = unsafe zip(bytes, mark).prefix { $0 == $1 }.count
        if common == mark.count {
            self = .text(skipped: mark.count)
        } else if common == bytes.count, !isEnd {
            self = .unknown
        } else {
            self = bytes.count < 2 && !isEnd ? .unknown : .text(skipped: 0)
        }
    }

    /// What is wrong with UTF-16, and what to do.
    package static let utf16Problem =
        "is UTF-16, not UTF-8; convert it, such as with `iconv -f UTF-16 -t UTF-8`"
}
