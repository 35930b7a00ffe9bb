internal import Glibc
internal import Records

/// All text of a regular file, unpacked and without the mark that says UTF-8; throws why it cannot
/// be read. Ends behind about the first `most` bytes.
package func readText(
    _ path: String, shown: String, _ packing: TextFormat.Packing, most: Int = .max, largest: Int
) throws(ConnectorError) -> [UInt8] {
    let isPacked = packing != .none
    guard var bytes = readFile(path, most: isPacked ? .max : most, largest: largest) else {
        throw ConnectorError(fileProblem(path, largest: largest) ?? "cannot be read")
    }
    if let decompressor = packing.decompressor(shown: shown) {
        bytes = try unpacked(bytes, decompressor, most: most, largest: largest)
    }
    switch unsafe bytes.withUnsafeBytes({ unsafe TextStart($0, isEnd: true) }) {
    case .utf16: throw ConnectorError(TextStart.utf16Problem)
    case .text(let skipped): bytes.removeFirst(skipped)
    case .unknown: break
    }
    return bytes
}

private func unpacked(
    _ packed: [UInt8], _ decompressor: any Decompressor, most: Int, largest: Int
) throws(ConnectorError) -> [UInt8] {
    var input = ByteBuffer()
    input.append(contentsOf: packed)
    var text = ByteBuffer()
    while text.count < most {
        let before = text.count
        let used = try unsafe input.withUnsafeBytes { (bytes) throws(ConnectorError) in
            try unsafe decompressor.unpack(bytes, into: &text, limit: 1 << 20)
        }
        input.removeFirst(used)
        if text.count > largest {
            throw ConnectorError("has more than \(largest >> 20) MiB when it is unpacked")
        }
        guard used == 0, text.count == before else { continue }
        guard decompressor.isComplete, input.isEmpty else {
            throw ConnectorError("the packed data ends too early")
        }
        break
    }
    return unsafe text.withUnsafeBytes { unsafe Array($0) }
}
