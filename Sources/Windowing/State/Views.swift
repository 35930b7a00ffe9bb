internal import Records

/// Words of one entry in a slab: a view that is valid until the slab changes.
@safe
struct Words {
    private let base: UnsafeMutablePointer<UInt64>

    @inline(__always)
    init(_ base: UnsafeMutablePointer<UInt64>) { unsafe self.base = base }

    @inline(__always)
    subscript(index: Int) -> UInt64 {
        get { unsafe base[index] }
        nonmutating set { unsafe base[index] = newValue }
    }

    /// The words from there on.
    @inline(__always)
    func from(_ offset: Int) -> Words { unsafe Words(base + offset) }

    func clear(_ count: Int) { unsafe base.update(repeating: 0, count: count) }

    func copy(from other: Words, count: Int) { unsafe base.update(from: other.base, count: count) }
}

/// Words that belong to their object, for results that are put together on the side.
@safe
final class ScratchWords {
    let words: Words
    private let base: UnsafeMutablePointer<UInt64>

    init(_ count: Int) {
        unsafe base = .allocate(capacity: max(count, 1))
        unsafe base.initialize(repeating: 0, count: max(count, 1))
        unsafe words = Words(base)
    }

    deinit { unsafe base.deallocate() }
}

/// Bytes that belong to somebody else: a view for the time of one call.
@safe
struct ByteSlice {
    private let base: UnsafePointer<UInt8>?
    let count: Int

    @inline(__always)
    init(_ base: UnsafePointer<UInt8>?, _ count: Int) {
        unsafe self.base = base
        self.count = unsafe base == nil ? 0 : count
    }

    /// No bytes.
    static var empty: ByteSlice { unsafe ByteSlice(nil, 0) }

    @inline(__always)
    subscript(index: Int) -> UInt8 {
        assert(index < count, "beyond the end")
        return unsafe base.unsafelyUnwrapped[index]
    }

    /// A part of it.
    func slice(_ range: Range<Int>) -> ByteSlice {
        unsafe ByteSlice(base.map { unsafe $0 + range.lowerBound }, range.count)
    }

    /// Eight bytes from a place on; there must be as many.
    @inline(__always)
    func word(_ at: Int) -> UInt64 {
        unsafe UnsafeRawPointer(base.unsafelyUnwrapped + at).loadUnaligned(as: UInt64.self)
    }

    /// All bytes of a slice of less than eight, as one word.
    @inline(__always)
    var shortWord: UInt64 {
        guard count > 0, let base = unsafe base else { return 0 }
        let raw = unsafe UnsafeRawPointer(base)
        if count >= 4 {
            let low = unsafe raw.loadUnaligned(as: UInt32.self)
            let high = unsafe (raw + (count - 4)).loadUnaligned(as: UInt32.self)
            return UInt64(high) << 32 | UInt64(low)
        }
        let first = unsafe UInt64(base[0])
        return unsafe first << 16 | UInt64(base[count / 2]) << 8 | UInt64(base[count - 1])
    }

    /// True when the bytes are the same.
    @inline(__always)
    func equals(_ other: ByteSlice) -> Bool {
        guard count == other.count else { return false }
        if count < 8 { return shortWord == other.shortWord }
        var at = 0
        let last = count - 8
        while at < last {
            if word(at) != other.word(at) { return false }
            at += 8
        }
        return word(last) == other.word(last)
    }

    /// Less, equal or greater than zero, by bytes.
    func compare(_ other: ByteSlice) -> Int {
        for index in 0..<min(count, other.count) where self[index] != other[index] {
            return self[index] < other[index] ? -1 : 1
        }
        return count - other.count
    }

    var array: [UInt8] { count == 0 ? [] : unsafe Array(raw) }

    @inline(__always)
    var raw: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }
}

extension [UInt8] {
    /// The bytes as a view, for the time of the call.
    @inline(__always)
    func withSlice<Result, Failure: Error>(
        _ body: (ByteSlice) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe withUnsafeBufferPointer { (bytes) throws(Failure) -> Result in
            try unsafe body(ByteSlice(bytes.baseAddress, bytes.count))
        }
    }
}

/// The cells of one row, and the text that they refer to.
@safe
struct Columns {
    private let cells: UnsafePointer<Cell>?
    private let text: UnsafePointer<UInt8>?

    @inline(__always)
    init(_ block: RowBlock, _ index: Int) {
        unsafe cells = block.cells.map { unsafe $0 + index * block.columnCount }
        unsafe text = block.text
    }

    @inline(__always)
    subscript(column: Int) -> Cell {
        guard let cells = unsafe cells else { return Cell(.missing) }
        return unsafe cells[column]
    }

    /// The JSON text of a cell; empty when none was kept.
    @inline(__always)
    func text(of cell: Cell) -> ByteSlice {
        unsafe ByteSlice(text.map { unsafe $0 + Int(cell.textOffset) }, Int(cell.textLength))
    }
}

extension RowBlock {
    /// One row.
    @inline(__always)
    func row(_ index: Int) -> Row {
        assert(index < count, "no such row")
        return unsafe rows.unsafelyUnwrapped[index]
    }

    /// The key of a row.
    @inline(__always)
    func key(_ row: Row) -> ByteSlice {
        unsafe ByteSlice(text.map { unsafe $0 + Int(row.keyOffset) }, Int(row.keyLength))
    }

    /// The JSON text of a row's record; empty when nobody needs it.
    func record(_ row: Row) -> ByteSlice {
        unsafe ByteSlice(text.map { unsafe $0 + Int(row.recordOffset) }, Int(row.recordLength))
    }
}
