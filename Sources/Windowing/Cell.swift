/// One value of a row, as the ingress has found it: a number in `bits`, everything else as text.
///
/// The layout is that of `tw_cell`, so that columns cross from C++ without being copied.
@frozen
public struct Cell {
    /// What a value is.
    public enum Kind: UInt32, Sendable {
        /// The field is not there, or null.
        case missing = 0
        /// A whole number that fits 64 bits; `bits` holds it.
        case integer = 1
        /// Any other number that a double holds; `bits` holds its bit pattern.
        case number = 2
        /// A text; its JSON text with quotes, escapes resolved as far as JSON allows.
        case string = 3
        /// `true` or `false`; `bits` is 1 or 0.
        case boolean = 4
        /// An object or a list, as JSON text.
        case composite = 5
        /// A number that neither holds exactly: its JSON text, and the nearest double in `bits`.
        case big = 6
    }

    /// The kind, as stored.
    public var rawKind: UInt32
    /// Length of the JSON text in the block's text; 0 when none was kept.
    public var textLength: UInt32
    /// Where the JSON text begins in the block's text.
    public var textOffset: UInt64
    /// The number, if it is one.
    public var bits: UInt64

    /// Creates a cell from its parts.
    @inlinable
    public init(_ kind: Kind, bits: UInt64 = 0, textOffset: UInt64 = 0, textLength: UInt32 = 0) {
        rawKind = kind.rawValue
        self.textLength = textLength
        self.textOffset = textOffset
        self.bits = bits
    }

    /// What the value is.
    @inlinable public var kind: Kind { Kind(rawValue: rawKind) ?? .missing }
    /// The whole number in `bits`.
    @inlinable public var integer: Int64 { Int64(bitPattern: bits) }
    /// The number as a double; meaningful for integers, numbers and big ones.
    @inlinable
    public var double: Double {
        rawKind == Kind.integer.rawValue ? Double(integer) : Double(bitPattern: bits)
    }
}

/// What every row of a block has beside its cells; the layout is that of `tw_row`.
@frozen
public struct Row {
    /// The event time in milliseconds since 1970.
    public var time: Int64
    /// The watermark as it was before this record, in milliseconds; `Int64.min` when there is none.
    public var watermark: Int64
    /// Where the key begins in the block's text: its JSON values, joined by commas.
    public var keyOffset: UInt64
    /// Where the record's JSON text begins; meaningful when `recordLength` is not 0.
    public var recordOffset: UInt64
    /// Length of the key.
    public var keyLength: UInt32
    /// Length of the record's JSON text; 0 when nobody needs it.
    public var recordLength: UInt32
    /// The place of the record in its batch.
    public var ordinal: UInt32
    /// 1 when the record has no time of its own, such as a dead letter, and stands where time is.
    public var stands: UInt32 = 0

    /// Creates a row from its parts.
    @inlinable
    public init(
        time: Int64, watermark: Int64, keyOffset: UInt64, keyLength: UInt32,
        recordOffset: UInt64 = 0, recordLength: UInt32 = 0, ordinal: UInt32 = 0
    ) {
        self.time = time
        self.watermark = watermark
        self.keyOffset = keyOffset
        self.recordOffset = recordOffset
        self.keyLength = keyLength
        self.recordLength = recordLength
        self.ordinal = ordinal
    }
}

/// Rows that reached an aggregate stage, in the order of their source: a view that does not own.
///
/// It is only valid during the call that gets it. The text has 64 readable bytes behind it.
@safe
public struct RowBlock {
    /// The rows.
    public let rows: UnsafePointer<Row>?
    /// How many there are.
    public let count: Int
    /// `columnCount` cells for each row, one row after the other.
    public let cells: UnsafePointer<Cell>?
    /// How many cells a row has.
    public let columnCount: Int
    /// Keys, JSON texts of values, and records.
    public let text: UnsafePointer<UInt8>?

    /// Creates a view.
    public init(
        rows: UnsafePointer<Row>?, count: Int, cells: UnsafePointer<Cell>?, columnCount: Int,
        text: UnsafePointer<UInt8>?
    ) {
        unsafe self.rows = rows
        self.count = count
        unsafe self.cells = cells
        self.columnCount = columnCount
        unsafe self.text = text
    }
}
