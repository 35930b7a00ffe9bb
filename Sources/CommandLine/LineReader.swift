import Glibc

/// Reads lines of standard input, each of bounded length.
struct LineReader {
    /// What came.
    enum Line {
        case text(String)
        /// It was longer than any statement; the rest of it was thrown away.
        case tooLong
    }

    /// How long a line may be, in bytes.
    static let limit = 1 << 20
    private var bytes: [UInt8] = []
    private var place = 0
    private var hasEnded = false

    /// The next line without its end; nil at the end of the input.
    mutating func next() -> Line? {
        var line: [UInt8] = []
        var isTooLong = false
        while true {
            let rest = bytes[place...]
            if let end = rest.firstIndex(of: 0x0A) {
                if !isTooLong { line += rest[..<end] }
                place = end + 1
                break
            }
            if !isTooLong { line += rest }
            if line.count > Self.limit {
                isTooLong = true
                line = []
            }
            place = 0
            bytes = hasEnded ? [] : Self.read()
            guard bytes.isEmpty else { continue }
            hasEnded = true
            if line.isEmpty, !isTooLong { return nil }
            break
        }
        if isTooLong || line.count > Self.limit { return .tooLong }
        if line.last == 0x0D { line.removeLast() }
        return .text(String(decoding: line, as: UTF8.self))
    }

    private static func read() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(0, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            return Array(buffer.prefix(max(0, count)))
        }
    }
}
