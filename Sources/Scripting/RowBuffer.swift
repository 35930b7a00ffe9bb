internal import CScripting

/// Rows that reached one aggregate stage, filled by a worker and used by whoever owns the windows.
@safe
public final class RowBuffer: @unchecked Sendable {  // One owner at a time, like `Batch`.
    let rows: OpaquePointer

    /// Creates an empty buffer.
    public init() { unsafe rows = tw_rows_create() }

    deinit { unsafe tw_rows_destroy(rows) }

    /// The rows, valid until the buffer changes.
    public var view: RowsView { unsafe RowsView(tw_rows_look(rows)) }

    /// Sets the watermarks of rows whose VM did not know how far time had come before its batch.
    ///
    /// - Parameter watermark: as it was before the batch; `Int64.min` for none.
    /// - Parameter newest: the watermark that the batch's source alone would allow.
    /// - Parameter floor: the one that the slowest other source allows; nil without others.
    public func settleTime(watermark: Int64, newest: Int64, floor: Int64?) {
        unsafe tw_rows_settle_time(rows, watermark, newest, floor ?? Int64.max)
    }

    /// Forgets the rows but keeps the memory.
    public func removeAll() { unsafe tw_rows_clear(rows) }
}

/// A look at rows and cells in the layout of `tw_row` and `tw_cell`; it does not own them.
@safe
public struct RowsView {
    /// The first row.
    public let rows: UnsafeRawPointer?
    /// The first cell.
    public let cells: UnsafeRawPointer?
    /// The text that rows and cells point into, with 64 readable bytes behind it.
    public let text: UnsafePointer<UInt8>?
    /// How many rows there are.
    public let count: Int
    /// How many cells a row has.
    public let columns: Int

    init(_ view: tw_rows_view) {
        unsafe rows = UnsafeRawPointer(view.rows)
        unsafe cells = UnsafeRawPointer(view.cells)
        unsafe text = unsafe view.text.map {
            unsafe UnsafeRawPointer($0).assumingMemoryBound(to: UInt8.self)
        }
        unsafe count = view.count
        unsafe columns = Int(view.columns)
    }
}

/// Bytes of a row and of a cell, so that others can check their own picture of the layout.
public enum RowLayout {
    /// Bytes of `tw_row`.
    public static let row = MemoryLayout<tw_row>.stride
    /// Bytes of `tw_cell`.
    public static let cell = MemoryLayout<tw_cell>.stride
}
