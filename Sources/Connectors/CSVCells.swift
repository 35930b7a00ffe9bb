internal import Connecting
internal import Records

/// Writes cells of CSV as the values of a JSON object.
struct CSVCells {
    private let infersTypes: Bool
    private let nullValues: [[UInt8]]

    init(infersTypes: Bool, nullValues: [String]) {
        self.infersTypes = infersTypes
        self.nullValues = [[]] + nullValues.map { Array($0.utf8) }
    }

    /// Writes one row; `names` are JSON texts with their colon.
    func write(
        _ cells: [CSVScanner.Cell], _ names: [[UInt8]], _ bytes: UnsafeRawBufferPointer,
        to out: inout ByteBuffer
    ) {
        out.append(0x7B)
        for (index, cell) in cells.enumerated() {
            if index > 0 { out.append(0x2C) }
            out.append(contentsOf: names[index])
            unsafe append(cell, bytes, to: &out)
        }
        out.append(0x7D)
    }

    private func append(
        _ cell: CSVScanner.Cell, _ bytes: UnsafeRawBufferPointer, to out: inout ByteBuffer
    ) {
        if infersTypes, !cell.isQuoted, let literal = unsafe inferred(bytes[cell.range]) {
            out.append(contentsOf: literal)
            return
        }
        out.reserve(cell.range.count * 6 + 2)
        out.append(0x22)
        var index = cell.range.lowerBound
        while index < cell.range.upperBound {
            let byte = unsafe bytes[index]
            index += 1
            if byte == 0x22 {
                out.append(0x5C)
                out.append(0x22)
                if cell.isQuoted && index < cell.quoteEnd { index += 1 }
            } else if byte == 0x5C {
                out.append(0x5C)
                out.append(0x5C)
            } else if byte < 0x20 {
                appendEscape(byte, to: &out)
            } else {
                out.append(byte)
            }
            if cell.isQuoted && index == cell.quoteEnd { index += 1 }
        }
        out.append(0x22)
    }

    private func appendEscape(_ byte: UInt8, to out: inout ByteBuffer) {
        let digits = Array("0123456789abcdef".utf8)
        switch byte {
        case 0x0A: out.append(contentsOf: "\\n".utf8)
        case 0x0D: out.append(contentsOf: "\\r".utf8)
        case 0x09: out.append(contentsOf: "\\t".utf8)
        default:
            out.append(contentsOf: "\\u00".utf8)
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
    }

    /// A cell that stands for nothing, or is a JSON number, `true` or `false` by itself.
    private func inferred(_ cell: Slice<UnsafeRawBufferPointer>) -> [UInt8]? {
        let text = unsafe Array(cell)
        if nullValues.contains(text) { return Array("null".utf8) }
        guard let first = text.first,
            first == 0x2D || (first >= 0x30 && first <= 0x39)
                || first == 0x74 || first == 0x66
        else { return nil }
        var reader = JSONReader(text)
        guard (try? reader.readDocument()) != nil, !text.contains(0x20) else { return nil }
        return text
    }
}
