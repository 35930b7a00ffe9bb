internal import Connecting
internal import Glibc
internal import Records

/// Bytes of one open file, unpacked when its name says that it is compressed.
final class ByteReader {
    /// What a call brought.
    enum Outcome {
        case bytes
        case nothingYet
        case end
    }

    let descriptor: Int32
    private let shown: String
    private let decompressor: (any Decompressor)?
    private var packed = ByteBuffer()
    private var isAtEnd = false
    private let isPollable: Bool
    private var lastWasFull = false

    init(path: String, shown: String) throws(ConnectorError) {
        self.shown = shown
        descriptor = path == "-" ? 0 : try openForReading(path, shown: shown)
        var status = stat()
        isPollable = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        if path.hasSuffix(".gz") {
            decompressor = GzipDecompressor(shown: shown)
        } else if path.hasSuffix(".zst") {
            decompressor = ZstandardDecompressor(shown: shown)
        } else {
            decompressor = nil
        }
    }

    deinit { if descriptor != 0 { close(descriptor) } }

    /// Appends up to `limit` bytes; waits at most `milliseconds` for a pipe.
    func read(
        into buffer: inout ByteBuffer, limit: Int, milliseconds: Int
    ) throws(ConnectorError) -> Outcome {
        guard let decompressor else {
            return try readRaw(into: &buffer, limit: limit, milliseconds: milliseconds)
        }
        let before = buffer.count
        while buffer.count == before {
            if packed.isEmpty && !isAtEnd && !lastWasFull {
                switch try readRaw(into: &packed, limit: 64 << 10, milliseconds: milliseconds) {
                case .nothingYet: return .nothingYet
                case .end: isAtEnd = true
                case .bytes: break
                }
            }
            let used = try unsafe packed.withUnsafeBytes { (input) throws(ConnectorError) in
                try unsafe decompressor.unpack(input, into: &buffer, limit: limit)
            }
            packed.removeFirst(used)
            // A full output may leave more inside the decompressor without further input.
            lastWasFull = buffer.count - before == limit
            if buffer.count == before && used == 0 && isAtEnd {
                if decompressor.isComplete && packed.isEmpty { return .end }
                throw ConnectorError("\(shown): the compressed data ends too early")
            }
        }
        return .bytes
    }

    /// Passes over the first bytes of the text.
    func skip(_ count: UInt64) throws(ConnectorError) {
        guard decompressor != nil || isPollable else {
            lseek(descriptor, off_t(count), SEEK_SET)
            return
        }
        var passed = ByteBuffer()
        var left = Int(count)
        while left > 0 {
            let step = min(left, 256 << 10)
            guard case .bytes = try read(into: &passed, limit: step, milliseconds: 1000) else {
                return
            }
            left -= passed.count
            passed.removeAll()
        }
    }

    private func readRaw(
        into buffer: inout ByteBuffer, limit: Int, milliseconds: Int
    ) throws(ConnectorError) -> Outcome {
        if isPollable && !waitReadable(descriptor, milliseconds: milliseconds) {
            return .nothingYet
        }
        var code: Int32 = 0
        let count = unsafe buffer.appendUnsafely(limit: limit) { space in
            let got = unsafe Glibc.read(descriptor, space.baseAddress, space.count)
            code = got < 0 ? errno : 0
            return max(got, 0)
        }
        if code == EINTR || code == EAGAIN { return .nothingYet }
        if code != 0 { throw ConnectorError("\(shown): \(systemText(code))") }
        return count == 0 ? .end : .bytes
    }
}
