internal import CScripting

/// How many lines end in these bytes; vectorised, since every byte of a source passes here.
public func newlineCount(of bytes: UnsafeRawBufferPointer) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    return unsafe tw_count_newlines(start.assumingMemoryBound(to: UInt8.self), bytes.count)
}

/// Where the last lines of some bytes begin, `limit` at most, and how many they are.
public func lastLines(
    of bytes: UnsafeRawBufferPointer, limit: Int
) -> (start: Int, count: Int) {
    guard let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
        return (0, 0)
    }
    var count = 0
    let start = unsafe tw_last_lines(base, bytes.count, limit, &count)
    return (start, count)
}
