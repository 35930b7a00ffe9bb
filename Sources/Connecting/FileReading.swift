internal import Glibc

/// Bytes of the largest file that people write: rules, modules, schemas, tests, pipeline.yaml.
package let largestScript = 16 << 20

/// Bytes of the largest lookup table.
package let largestLookup = 2 << 30

/// Why what is at a path is not read: it is no regular file, or has more than `largest` bytes; nil
/// when it is one that may be read, or when there is nothing.
package func fileProblem(_ path: String, largest: Int = largestScript) -> String? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    return problem(of: status, largest)
}

private func problem(of status: stat, _ largest: Int) -> String? {
    switch status.st_mode & S_IFMT {
    case S_IFREG:
        if status.st_size <= largest { return nil }
        return "has \(status.st_size) bytes; the largest that is read has \(largest >> 20) MiB"
    case S_IFDIR: return "is a directory, not a file"
    case S_IFIFO: return "is a pipe (FIFO), not a file"
    case S_IFSOCK: return "is a socket, not a file"
    default: return "is a device, not a file"
    }
}

/// All bytes of a regular file, or about the first `most`, without the mark that says UTF-8
/// unless it `keepsMark`; nil when it cannot be read or has more than `largest`. This never waits
/// for anybody who might write into it.
package func readFile(
    _ path: String, most: Int = .max, largest: Int = largestScript, keepsMark: Bool = false
) -> [UInt8]? {
    guard var bytes = readBytes(path, most, largest) else { return nil }
    if !keepsMark, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    return bytes
}

private func readBytes(_ path: String, _ most: Int, _ largest: Int) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, problem(of: status, largest) == nil else {
        return nil
    }
    var bytes: [UInt8] = []
    if status.st_size > 0 { bytes.reserveCapacity(min(Int(status.st_size), most)) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe buffer.withUnsafeMutableBytes {
            unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0 { return nil }
        if count == 0 { return bytes }
        bytes += buffer[..<count]
        if bytes.count >= most { return bytes }
        if bytes.count > largest { return nil }
    }
}
