internal import CScripting

/// An immutable lookup table, shared by all workers.
@safe
public final class Lookup: @unchecked Sendable {  // Immutable; the C side counts references.
    let table: OpaquePointer

    init(_ table: OpaquePointer) { unsafe self.table = table }

    deinit { unsafe tw_lookup_release(table) }

    /// How many rows it has.
    public var count: Int { unsafe tw_lookup_count(table) }
}

/// Fills a lookup table, row by row.
@safe
public struct LookupBuilder: ~Copyable {
    private let table: OpaquePointer
    private var isTaken = false

    /// Begins a table with these columns.
    public init(columns: [String]) {
        unsafe table = tw_lookup_create()
        for column in columns {
            let bytes = Array(column.utf8)
            unsafe withCharacters(bytes) { unsafe tw_lookup_add_column(table, $0, $1) }
        }
    }

    deinit { if !isTaken { unsafe tw_lookup_release(table) } }

    /// Begins a row; one with the same key is replaced.
    public mutating func beginRow(key: [UInt8]) {
        unsafe withCharacters(key) { unsafe tw_lookup_begin_row(table, $0, $1) }
    }

    /// Sets a column of the row: text, or with `isJSON` a JSON text that reads as its own value.
    public mutating func set(_ column: Int, to value: [UInt8], isJSON: Bool) {
        let kind = Int32(isJSON ? TW_LOOKUP_JSON : TW_LOOKUP_TEXT)
        unsafe withCharacters(value) {
            unsafe tw_lookup_set(table, UInt32(column), $0, $1, kind)
        }
    }

    /// The finished table.
    public consuming func finish() -> Lookup {
        isTaken = true
        return unsafe Lookup(table)
    }
}

/// Calls `body` with the bytes as C characters and their number; an empty array gives "".
func withCharacters<Result>(
    _ bytes: [UInt8], _ body: (UnsafePointer<CChar>, Int) -> Result
) -> Result {
    unsafe bytes.withUnsafeBytes { raw in
        guard let start = raw.baseAddress else { return unsafe body("", 0) }
        return unsafe body(start.assumingMemoryBound(to: CChar.self), raw.count)
    }
}
