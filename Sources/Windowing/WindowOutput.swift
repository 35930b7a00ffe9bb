public import Records

/// Why a window could not give its row.
public struct WindowFailure: Sendable {
    /// What went wrong, with file and line where there are some.
    public var message: String
    /// The rule file, or nothing.
    public var file: String
    /// The line in it, or 0.
    public var line: Int
    /// Key and window as a JSON object.
    public var original: [UInt8]
    /// The event time of the row that is missing, in milliseconds.
    public var time: Int64
}

/// What windows give: JSON lines, and what the engine must know about each of them.
public struct WindowOutput: ~Copyable {
    /// The rows, one JSON object per line.
    public var rows = ByteBuffer()
    /// Where each row ends in `rows`, its newline included.
    public var rowEnds: [Int] = []
    /// The event time of each row in milliseconds: one before the end of its window.
    public var rowTimes: [Int64] = []
    /// The watermark before each row in milliseconds, for windows behind these; it never falls.
    public var rowWatermarks: [Int64] = []
    /// Where each row stands among those of other slots; empty when there is one slot.
    public var rowOrders: [RowOrder] = []
    /// The records that came too late, one JSON text per line; only those that have one.
    public var late = ByteBuffer()
    /// Where each of them ends, its newline included.
    public var lateEnds: [Int] = []
    /// Their event times in milliseconds.
    public var lateTimes: [Int64] = []
    /// The watermark before each of them, in milliseconds.
    public var lateWatermarks: [Int64] = []
    /// Where each of them stands among those of other slots; empty when there is one slot.
    public var lateOrders: [RowOrder] = []
    /// How many records came too late, also when nobody wants to see them.
    public var lateCount = 0
    /// How many of them did so only because an earlier run has closed their windows.
    public var lateAfterClose = 0
    /// Rows that could not be computed.
    public var failures: [WindowFailure] = []

    /// Creates an empty output.
    public init() {}

    /// Forgets everything but keeps the memory.
    public mutating func removeAll() {
        removeRows()
        removeLate()
        failures.removeAll()
    }

    /// Forgets the rows.
    public mutating func removeRows() {
        rows.removeAll()
        rowEnds.removeAll(keepingCapacity: true)
        rowTimes.removeAll(keepingCapacity: true)
        rowWatermarks.removeAll(keepingCapacity: true)
        rowOrders.removeAll(keepingCapacity: true)
    }

    /// Forgets the records that came too late.
    public mutating func removeLate() {
        late.removeAll()
        lateEnds.removeAll(keepingCapacity: true)
        lateTimes.removeAll(keepingCapacity: true)
        lateWatermarks.removeAll(keepingCapacity: true)
        lateOrders.removeAll(keepingCapacity: true)
        lateCount = 0
        lateAfterClose = 0
    }

    mutating func addLate(_ row: Row, of block: RowBlock) {
        lateCount += 1
        let record = block.record(row)
        guard record.count > 0 else { return }
        unsafe late.append(record.raw)
        late.append(0x0A)
        lateEnds.append(late.count)
        lateTimes.append(row.time)
        lateWatermarks.append(row.watermark)
    }

    mutating func addRow(_ line: ByteSlice, time: Int64, watermark: Int64) {
        unsafe rows.append(line.raw)
        rowEnds.append(rows.count)
        rowTimes.append(time)
        rowWatermarks.append(watermark)
    }
}

// MARK: Several slots

extension WindowOutput {
    /// Adds a row of another output.
    public mutating func append(row index: Int, of other: borrowing WindowOutput) {
        let start = index > 0 ? other.rowEnds[index - 1] : 0
        rows.append(copyOf: other.rows, start..<other.rowEnds[index])
        rowEnds.append(rows.count)
        rowTimes.append(other.rowTimes[index])
        rowWatermarks.append(other.rowWatermarks[index])
    }

    /// Adds a late record of another output; `lateCount` stays.
    public mutating func append(late index: Int, of other: borrowing WindowOutput) {
        let start = index > 0 ? other.lateEnds[index - 1] : 0
        late.append(copyOf: other.late, start..<other.lateEnds[index])
        lateEnds.append(late.count)
        lateTimes.append(other.lateTimes[index])
        lateWatermarks.append(other.lateWatermarks[index])
    }
}
