internal import Connecting
internal import Glibc
internal import Records

/// The cells of a file's first line; nil when there is no whole one within the first 64 KiB.
func readHeader(_ descriptor: Int32, _ packing: Packing?, _ delimiter: UInt8) -> [String]? {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe bytes.withUnsafeMutableBytes {
        unsafe pread(descriptor, $0.baseAddress, $0.count, 0)
    }
    guard count > 0 else { return nil }
    bytes.removeLast(bytes.count - count)
    if let packing { bytes = unpacked(bytes, packing, limit: 1 << 16) }
    guard bytes.contains(0x0A) else { return nil }
    var parser = CSVParser(bytes, delimiter: delimiter)
    return parser.next()?.cells.map { String(decoding: $0, as: UTF8.self) }
}

/// What packed bytes hold, as far as they are whole; the limit is a rough one.
func unpacked(_ bytes: [UInt8], _ packing: Packing, limit: Int = .max) -> [UInt8] {
    let unpacker: any Decompressor =
        switch packing {
        case .gzip: GzipDecompressor(shown: "")
        case .zstandard: ZstandardDecompressor(shown: "")
        }
    var output = ByteBuffer()
    var rest = bytes[...]
    while !rest.isEmpty, output.count < limit {
        let used = unsafe rest.span.bytes.withUnsafeBytes { input in
            try? unsafe unpacker.unpack(input, into: &output, limit: 1 << 16)
        }
        guard let used, used > 0 else { break }
        rest = rest.dropFirst(used)
    }
    return unsafe output.withUnsafeBytes { unsafe Array($0) }
}

extension CSVRowWriter {
    /// Goes on with the columns of a file; returns why that is not possible, or nil.
    func adopt(_ header: [String]?) -> String? {
        guard let header else { return "its first line is no header of CSV" }
        if let columns {
            return columns == header
                ? nil
                : "has the columns \(header.joined(separator: ", ")), not "
                    + columns.joined(separator: ", ")
        }
        if let rest = options.rest, !header.contains(rest) {
            return "has no column \"\(rest)\" for the rest"
        }
        begin(header)
        return nil
    }
}
