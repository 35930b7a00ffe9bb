internal import CScripting

/// How many lines end in these bytes; vectorised, since every byte of a source passes here.
public func newlineCount(of bytes: UnsafeRawBufferPointer) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    return unsafe tw_count_newlines(start.assumingMemoryBound(to: UInt8.self), bytes.count)
}
