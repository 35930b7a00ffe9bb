internal import Records

/// Number of a row and whether it is the last word, for stages that revise their rows.
struct Revision {
    /// 1 for the first row of a window.
    var number: UInt64
    /// True when the window has ended: only a record within the allowed lateness revises it.
    var isFinal: Bool
    /// True when the window is no more, because a session has taken it over.
    var isRetracted = false
}

/// How the rows of a stage are written: names that never change, between values that do.
struct RowShape {
    private let keyNames: [[UInt8]]
    private let computeNames: [[UInt8]]
    private let startName: [UInt8]
    private let endName = Array(",\"window_end\":".utf8)

    init(_ definition: AggregateDefinition) {
        var isFirst = true
        func name(_ text: String) -> [UInt8] {
            defer { isFirst = false }
            return Array((isFirst ? "{" : ",").utf8) + Value.string(text).json + [0x3A]
        }
        keyNames = definition.keys.map(name)
        computeNames = definition.computes.map { name($0.name) }
        startName = name("window_start")
    }

    /// The key fields.
    func writeKey(_ key: ByteSlice, into out: inout TextBuffer) {
        if keyNames.count == 1 {
            out.append(keyNames[0])
            return out.append(key)
        }
        var at = 0
        for name in keyNames {
            out.append(name)
            let stop = Self.valueEnd(key, from: at)
            if at < stop { out.append(key.slice(at..<stop)) } else { out.append(text: "null") }
            at = stop + 1
        }
    }

    /// The name of a computed field.
    @inline(__always)
    func writeName(_ index: Int, into out: inout TextBuffer) { out.append(computeNames[index]) }

    /// The window, which stands behind the computed fields, instead of what was there.
    func writeTail(_ start: Int64, _ end: Int64, into out: inout TextBuffer) {
        out.removeAll()
        out.append(startName)
        out.append(time: start)
        out.append(endName)
        out.append(time: end)
    }

    /// What closes the row of a window.
    func writeRevision(_ revision: Revision, into out: inout TextBuffer) {
        out.append(text: ",\"revision\":")
        out.append(unsigned: revision.number)
        out.append(text: ",\"is_final\":")
        if revision.isFinal { out.append(text: "true") } else { out.append(text: "false") }
        if revision.isRetracted { out.append(text: ",\"retracted\":true") }
    }

    /// Key and window alone, as an object.
    func writeIdentity(_ key: ByteSlice, _ start: Int64, _ end: Int64, into out: inout TextBuffer) {
        writeKey(key, into: &out)
        out.append(keyNames.isEmpty ? 0x7B : 0x2C)
        out.append(text: "\"window_start\":")
        out.append(time: start)
        out.append(endName)
        out.append(time: end)
        out.append(0x7D)
    }

    /// Where a JSON value ends: at the next comma outside of strings, objects and lists.
    static func valueEnd(_ key: ByteSlice, from start: Int) -> Int {
        var at = start
        var depth = 0
        var isText = false
        while at < key.count {
            let byte = key[at]
            if isText {
                if byte == 0x5C { at += 1 } else if byte == 0x22 { isText = false }
            } else if byte == 0x22 {
                isText = true
            } else if byte == 0x5B || byte == 0x7B {
                depth += 1
            } else if byte == 0x5D || byte == 0x7D {
                depth -= 1
            } else if byte == 0x2C, depth == 0 {
                break
            }
            at += 1
        }
        return min(at, key.count)
    }
}
