internal import Scripting
internal import Windowing

/// Rows of several workers, put back into the order of their source.
final class MergedRows {
    private var rows: ContiguousArray<Row> = []
    private var cells: ContiguousArray<Cell> = []
    private var text: ContiguousArray<UInt8> = []
    private var columns = 0

    /// Takes the rows of each worker, which are in order by themselves.
    func fill(from parts: [RowsView]) {
        rows.removeAll(keepingCapacity: true)
        cells.removeAll(keepingCapacity: true)
        text.removeAll(keepingCapacity: true)
        var next = Array(repeating: 0, count: parts.count)
        while let part = first(of: parts, next) {
            let block = RowBlock(parts[part], row: next[part])
            next[part] += 1
            append(block)
        }
        // Scanners read a little beyond the end.
        text.append(contentsOf: repeatElement(0, count: 64))
    }

    /// Calls `body` with all of them.
    func withBlock<Result>(_ body: (RowBlock) -> Result) -> Result {
        unsafe rows.withUnsafeBufferPointer { rows in
            unsafe cells.withUnsafeBufferPointer { cells in
                unsafe text.withUnsafeBufferPointer { text in
                    body(
                        unsafe RowBlock(
                            rows: rows.baseAddress, count: rows.count, cells: cells.baseAddress,
                            columnCount: columns, text: text.baseAddress))
                }
            }
        }
    }

    /// The part whose next row was read first.
    private func first(of parts: [RowsView], _ next: [Int]) -> Int? {
        var best: Int?
        var least = UInt32.max
        var mark = Int64.max
        for part in parts.indices where next[part] < parts[part].count {
            let block = RowBlock(parts[part], row: next[part])
            guard let row = unsafe block.rows?.pointee else { continue }
            // Timers that fire before a record have a watermark of their own.
            if let best, (least, mark) <= (row.ordinal, row.watermark), best != part { continue }
            best = part
            least = row.ordinal
            mark = row.watermark
        }
        return best
    }

    private func append(_ block: RowBlock) {
        guard var row = unsafe block.rows?.pointee, let source = unsafe block.text else { return }
        columns = block.columnCount
        let key = unsafe UnsafeBufferPointer(
            start: source + Int(row.keyOffset), count: Int(row.keyLength))
        row.keyOffset = UInt64(text.count)
        unsafe text.append(contentsOf: key)
        let record = unsafe UnsafeBufferPointer(
            start: source + Int(row.recordOffset), count: Int(row.recordLength))
        row.recordOffset = UInt64(text.count)
        unsafe text.append(contentsOf: record)
        rows.append(row)
        for column in 0..<columns {
            guard var cell = unsafe block.cells?[column] else { continue }
            let value = unsafe UnsafeBufferPointer(
                start: source + Int(cell.textOffset), count: Int(cell.textLength))
            cell.textOffset = UInt64(text.count)
            unsafe text.append(contentsOf: value)
            cells.append(cell)
        }
    }
}
