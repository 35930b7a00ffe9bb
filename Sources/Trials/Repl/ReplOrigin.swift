internal import Engine
package import Records
internal import Scripting

/// What a rule is told about a record besides its fields.
package struct ReplOrigin: Sendable, Hashable {
    var id: [UInt8] = []
    var source = "repl"
    var file = "repl"
    var position: UInt64 = 0
    var line: UInt64 = 0
    var attempt = 0
    var headers: [Field] = []
}

extension ReplRecord {
    /// A row as JSON.
    package init(row: [UInt8]) { self = Self.checked(row) }

    /// A message as `queue peek` gives it, its payload in base64.
    package init(message: Record) {
        let payload = message["payload_base64"].flatMap { decodeBase64($0.text) } ?? []
        self = Self.checked(payload)
        var origin = ReplOrigin()
        origin.id = Array((message["id"]?.text ?? "").utf8)
        origin.source = message["queue"]?.text ?? "repl"
        origin.file = origin.source
        origin.attempt = message.count("attempt")
        if case .object(let headers)? = message["headers"] { origin.headers = headers }
        self.origin = origin
        notes = ["message \(message["id"]?.text ?? ""), \(message["state"]?.text ?? "")"]
    }

    /// A dead letter: the record as it was before the first stage.
    package init(letter record: Record) {
        let letter = DeadLetter(number: 0, record: record)
        self = Self.checked(letter.json)
        var origin = ReplOrigin()
        origin.id = Array(letter.id.utf8)
        origin.source = letter.text("source") ?? "repl"
        origin.file = letter.text("source_file") ?? "repl"
        origin.position = letter.integer("position")
        origin.line = letter.integer("source_line")
        self.origin = origin
        let reason = letter.text("reason") ?? ""
        notes = ["dead letter \(letter.id), failed in \(letter.text("stage") ?? "?"): \(reason)"]
        trace = []
        if case .array(let lines)? = record["trace"] { trace = lines.map(\.text) }
        ruleSet = letter.text("rule_set")
    }
}

extension Batch {
    /// Fills it with one record of a session.
    func fill(_ record: [UInt8], _ origin: ReplOrigin?) {
        removeAll()
        source = origin?.source ?? "repl"
        file = origin?.file ?? "repl"
        bytes.append(contentsOf: record)
        guard let origin else { return }
        func keep(_ text: [UInt8]) -> Range<Int> {
            let start = originals.count
            originals.append(contentsOf: text)
            return start..<originals.count
        }
        var entry = Entry(
            text: 0..<record.count, original: keep(record), problem: 0..<0,
            position: origin.position, line: origin.line, originalLength: UInt64(record.count))
        entry.id = keep(origin.id)
        if origin.attempt > 0 { entry.attempt = origin.attempt }
        if !origin.headers.isEmpty { entry.headers = keep(Value.object(origin.headers).json) }
        entries.append(entry)
    }
}
