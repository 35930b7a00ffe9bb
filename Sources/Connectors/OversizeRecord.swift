internal import Records

/// A record that is longer than it may be, of which only the start is kept.
struct OversizeRecord {
    /// Its first bytes, at most 64 KiB.
    private let kept: [UInt8]
    private let position: UInt64
    private let line: UInt64
    private var length: UInt64 = 0
    private(set) var lineBreaks: UInt64 = 0
    /// The delimiter of CSV, in which quotes hide the end of a line.
    private let delimiter: UInt8?
    private var place = Place.cellStart

    private enum Place {
        case cellStart
        case plain
        case quoted
        /// Behind a quote that either closes the cell or is the first of two.
        case quote
    }

    init(_ pending: borrowing ByteBuffer, position: UInt64, line: UInt64, delimiter: UInt8?) {
        kept = unsafe pending.withUnsafeBytes { unsafe [UInt8]($0[..<keptLength($0)]) }
        self.position = position
        self.line = line
        self.delimiter = delimiter
    }

    /// Passes over bytes of the record; true when its end was among them.
    mutating func skip(_ pending: inout ByteBuffer) -> Bool {
        let end = unsafe pending.withUnsafeBytes { unsafe findEnd($0) }
        length += UInt64(end ?? pending.count)
        pending.removeFirst(end.map { $0 + 1 } ?? pending.count)
        return end != nil
    }

    private mutating func findEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        for index in bytes.indices {
            let byte = unsafe bytes[index]
            if byte == 0x0A { lineBreaks += 1 }
            guard let delimiter else {
                if byte == 0x0A { return index }
                continue
            }
            switch (place, byte) {
            case (.quoted, 0x22): place = .quote
            case (.quoted, _): break
            case (_, 0x0A): return index
            case (_, delimiter): place = .cellStart
            case (.cellStart, 0x22), (.quote, 0x22): place = .quoted
            default: place = .plain
            }
        }
        return nil
    }

    /// Adds what is known of it to the batch; returns where the next record begins.
    func add(to batch: Batch, limit: Int) -> UInt64 {
        let name = delimiter == nil ? "line" : "row"
        let problem = "\(name) of \(length) bytes is longer than the record limit of \(limit) bytes"
        let start = batch.originals.count
        batch.originals.append(contentsOf: kept)
        let keptEnd = batch.originals.count
        batch.originals.append(contentsOf: problem.utf8)
        batch.entries.append(
            Batch.Entry(
                text: 0..<0, original: start..<keptEnd, problem: keptEnd..<batch.originals.count,
                position: position, line: line, originalLength: length))
        return position + length + 1
    }
}
