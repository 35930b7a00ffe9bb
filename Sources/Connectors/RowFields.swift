internal import Records

/// The fields of a row, which is one JSON object, as places in its bytes. The engine has written
/// or checked the row, so that only its structure is looked at.
struct RowFields {
    /// One field.
    struct Member {
        /// The name between its quotes.
        var name: Range<Int>
        var isNameEscaped: Bool
        var value: Range<Int>
    }

    private(set) var members: [Member] = []
    private var at = 0

    /// Takes a row apart; false when it is no object.
    mutating func read(_ row: Span<UInt8>) -> Bool {
        members.removeAll(keepingCapacity: true)
        at = 0
        skipSpace(row)
        guard take(0x7B, row) else { return false }
        skipSpace(row)
        if take(0x7D, row) { return true }
        while at < row.count {
            guard let (name, isEscaped) = string(row) else { return false }
            skipSpace(row)
            guard take(0x3A, row) else { return false }
            skipSpace(row)
            let start = at
            skipValue(row)
            members.append(Member(name: name, isNameEscaped: isEscaped, value: start..<at))
            skipSpace(row)
            if take(0x7D, row) { return true }
            guard take(0x2C, row) else { return false }
            skipSpace(row)
        }
        return false
    }

    private mutating func skipSpace(_ row: Span<UInt8>) {
        while at < row.count, row[at] == 0x20 || row[at] == 0x09 || row[at] == 0x0D { at += 1 }
    }

    private mutating func take(_ byte: UInt8, _ row: Span<UInt8>) -> Bool {
        guard at < row.count, row[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func string(_ row: Span<UInt8>) -> (Range<Int>, isEscaped: Bool)? {
        guard take(0x22, row) else { return nil }
        let start = at
        var isEscaped = false
        while at < row.count, row[at] != 0x22 {
            if row[at] == 0x5C {
                isEscaped = true
                at += 1
            }
            at += 1
        }
        guard at < row.count else { return nil }
        at += 1
        return (start..<(at - 1), isEscaped)
    }

    private mutating func skipValue(_ row: Span<UInt8>) {
        var depth = 0
        while at < row.count {
            switch row[at] {
            case 0x22: _ = string(row)
            case 0x7B, 0x5B:
                depth += 1
                at += 1
            case 0x7D, 0x5D:
                if depth == 0 { return }
                depth -= 1
                at += 1
            case 0x2C where depth == 0: return
            case 0x20 where depth == 0, 0x09 where depth == 0, 0x0D where depth == 0: return
            default: at += 1
            }
            if depth == 0, at < row.count, row[at - 1] == 0x22 { return }
        }
    }

    /// The text of a JSON string, whose quotes are left out.
    static func text(of row: Span<UInt8>, _ range: Range<Int>, isEscaped: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count + 2)
        if !isEscaped {
            for index in range { bytes.append(row[index]) }
            return bytes
        }
        bytes.append(0x22)
        for index in range { bytes.append(row[index]) }
        bytes.append(0x22)
        var reader = JSONReader(bytes)
        let value = try? reader.readDocument()
        return Array((value?.text ?? "").utf8)
    }
}
