/// Frames that are written, and mostly synced, together. One thread at a time.
struct CommitGroup<Handle: File> {
    let file: Handle
    var bytes: [UInt8]
    let offset: Int
    /// The last transaction in it, or before it when it is empty.
    let sequence: UInt64
    /// Up to where zeros are written behind it; zero for none.
    var zeroEnd: Int
    private(set) var isOutOfRoom = false

    init(file: Handle, bytes: [UInt8], offset: Int, sequence: UInt64, zeroEnd: Int) {
        self.file = file
        self.bytes = bytes
        self.offset = offset
        self.sequence = sequence
        self.zeroEnd = zeroEnd
    }

    mutating func write() throws(DiskError) {
        guard !bytes.isEmpty else { return }
        try unsafe file.writeAll(bytes.span.bytes, at: offset)
        let end = offset + bytes.count
        guard zeroEnd > end else { return }
        let zeros = [UInt8](repeating: 0, count: zeroEnd - end)
        do throws(DiskError) { try unsafe file.writeAll(zeros.span.bytes, at: end) } catch {
            guard error.isOutOfRoom else { throw error }
            // No room for zeros: the file grows with each group from here on.
            isOutOfRoom = true
            zeroEnd = 0
            try file.truncate(to: end)
        }
    }
}
