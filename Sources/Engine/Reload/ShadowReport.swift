internal import Records

/// What would have come out differently if other rules had run.
public struct ShadowReport: Sendable, Hashable {
    /// Records that both versions were run on.
    public var records = 0
    /// The same in every respect.
    public var same = 0
    /// With other fields, outputs or numbers of rows.
    public var changed = 0
    /// Ended by the new rules, but not by the old ones.
    public var newlyDropped = 0
    /// The other way round.
    public var newlyKept = 0
    /// Dead letters of the new rules only.
    public var newErrors = 0
    /// Dead letters of the old rules only.
    public var mended = 0
    /// How often each field differs: `.flag`.
    public var fields: [String: Int] = [:]
    /// The first few differences, each in one line.
    public var samples: [String] = []

    /// Nothing was compared yet.
    package init() {}

    /// The share of records that came out differently.
    public var difference: Double {
        records == 0 ? 0 : Double(records - same) / Double(records)
    }

    /// `1000 records: 982 same, 15 changed (.flag 15), 2 newly dropped, 1 new error`.
    public var text: String {
        var parts = ["\(same) same"]
        if changed > 0 {
            let names = fields.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5)
                .map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            parts.append("\(changed) changed" + (names.isEmpty ? "" : " (\(names))"))
        }
        if newlyDropped > 0 { parts.append("\(newlyDropped) newly dropped") }
        if newlyKept > 0 { parts.append("\(newlyKept) newly kept") }
        if newErrors > 0 { parts.append("\(newErrors) new error\(newErrors == 1 ? "" : "s")") }
        if mended > 0 { parts.append("\(mended) mended") }
        return "\(records) records: " + parts.joined(separator: ", ")
    }
}

extension ShadowReport {
    /// The figures, as they are kept with a version; the samples are not.
    var record: Record {
        let counts = [
            ("records", records), ("same", same), ("changed", changed),
            ("newly_dropped", newlyDropped), ("newly_kept", newlyKept),
            ("new_errors", newErrors), ("mended", mended),
        ]
        // Records may have any number of fields, and a row of an audit is short.
        let changes = fields.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(20)
            .map { Field($0.key, .integer(Int64($0.value))) }
        return Record(
            counts.map { Field($0.0, .integer(Int64($0.1))) }
                + [Field("fields", .object(changes)), Field("text", .string(text))])
    }

    init(_ record: Record) {
        records = record.count("records")
        same = record.count("same")
        changed = record.count("changed")
        newlyDropped = record.count("newly_dropped")
        newlyKept = record.count("newly_kept")
        newErrors = record.count("new_errors")
        mended = record.count("mended")
        if case .object(let changes)? = record["fields"] {
            for change in changes {
                if case .integer(let count) = change.value { fields[change.name] = Int(count) }
            }
        }
    }
}

extension Record {
    /// A whole number among the fields; 0 without one.
    package func count(_ name: String) -> Int {
        if case .integer(let number)? = self[name] { Int(number) } else { 0 }
    }
}
