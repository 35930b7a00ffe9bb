/// Reading a snapshot: piece by piece into one small buffer, since a fresh one of its size would
/// cost more than the reading.
extension SnapshotFolder {
    private typealias Writer = SnapshotWriter<Place.Handle>

    /// Hands the blocks of a snapshot over in order. It is read twice, so that none is handed over
    /// when any byte has changed; false then. Throws what `body` throws and what the disk says.
    func read(
        _ sequence: UInt64, _ body: (RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) -> Bool {
        let file = try JournalError.wrap { () throws(DiskError) in
            try disk.open(layout.snapshot(sequence), .read)
        }
        var buffer: [UInt8] = []
        guard try forEachBlock(file, sequence, &buffer, { (_) throws(JournalError) in }) else {
            return false
        }
        return try forEachBlock(file, sequence, &buffer, body)
    }

    /// Calls with each block until one is not as it was written; true when all of them are.
    private func forEachBlock(
        _ file: Place.Handle, _ sequence: UInt64, _ buffer: inout [UInt8],
        _ body: (RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) -> Bool {
        let (size, header) = try JournalError.wrap { () throws(DiskError) in
            (try file.size(), try file.bytes(at: 0, count: Writer.headerSize + 8))
        }
        guard Self.beginning(header, store, sequence) != nil,
            header.count == Writer.headerSize + 8
        else { return false }
        var offset = Writer.headerSize + 8
        var head = BlockHead(unsafe header.span.bytes, at: Writer.headerSize)
        var count: UInt64 = 0
        while true {
            let length = head.isEnd ? 8 : Int(head.length)
            // The head of the next block is read along.
            let wanted = head.isEnd ? length : length + 8
            guard offset + wanted <= size else { return false }
            if buffer.count < wanted { buffer = [UInt8](repeating: 0, count: wanted * 2) }
            let have = try JournalError.wrap { () throws(DiskError) in
                try file.fill(&buffer, at: offset)
            }
            guard have >= wanted else { return false }
            let block = unsafe buffer.span.bytes.extracting(0..<length)
            guard Checksum.of(block) == head.checksum else { return false }
            if head.isEnd { return offset + 8 == size && block.number(UInt64.self, at: 0) == count }
            try body(block)
            count += 1
            offset += wanted
            head = BlockHead(unsafe buffer.span.bytes, at: length)
        }
    }
}

/// What stands before a block: its length and its checksum.
private struct BlockHead {
    var length: UInt32
    var checksum: UInt32
    var isEnd: Bool { length == .max }

    init(_ bytes: RawSpan, at offset: Int) {
        length = bytes.number(UInt32.self, at: offset)
        checksum = bytes.number(UInt32.self, at: offset + 4)
    }
}
