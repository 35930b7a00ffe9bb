package import Connecting
internal import Records

extension SinkKind {
    /// `file`: JSON lines or CSV into a file, or into one after the other.
    package static let file = SinkKind(name: "file", section: .fileSink) { reader in
        var options = FileSinkOptions(path: reader.string("path") ?? "")
        options.appends = reader.bool("append") ?? false
        // Says that readers know revised rows; what is written stays the same.
        _ = reader.bool("upsert")
        options.csv = csvOptions(&reader, options.finalPath)
        options.roll = rollOptions(&reader, options.finalPath)
        guard reader.isPresent("path") else { return nil }
        let declared = options
        return { (context: RunContext) throws(ConnectorError) -> OpenedSink in
            var configured = declared
            if context.takesDeadLetters, let csv = configured.csv, csv.columns == nil {
                configured.csv?.rest = csv.rest ?? "rest"
            }
            if let roll = configured.roll {
                return .rows(try RollingFileSink(configured, roll, context))
            }
            return .rows(try FileSink(configured, context))
        }
    }

    private static func csvOptions(
        _ reader: inout SettingReader, _ path: String
    ) -> CSVWritingOptions? {
        let name = Packing.split(path).rest.lowercased()
        var csv = CSVWritingOptions()
        if name.hasSuffix(".tsv") { csv.delimiter = 0x09 }
        let usual = name.hasSuffix(".csv") || name.hasSuffix(".tsv") ? "csv" : "jsonl"
        let format = reader.choice("format") ?? usual
        if let text = reader.string("delimiter") {
            let bytes = Array(text.utf8)
            if bytes.count == 1, bytes[0] != 0x22, bytes[0] != 0x0A {
                csv.delimiter = bytes[0]
            } else {
                reader.report("delimiter", "\"delimiter\" must be one character")
            }
        }
        csv.columns = reader.strings("columns")
        csv.rest = reader.string("rest")
        if let value = reader.setting("null_as") {
            if case .scalar(let text, _) = value.content {
                csv.nullText = text
            } else {
                reader.report("null_as", "\"null_as\" must be a text, a number, true or false")
            }
        }
        if let columns = csv.columns {
            for (index, column) in columns.enumerated()
            where columns[..<index].contains(column) {
                reader.report("columns", "the column \"\(column)\" is given twice")
            }
        }
        if format == "csv" { return csv }
        for key in ["columns", "rest", "null_as", "delimiter"] where reader.isPresent(key) {
            reader.reportKey(
                key, "\"\(key)\" is for CSV: name the file .csv or .tsv, or give `format: csv`")
        }
        return nil
    }

    private static func rollOptions(
        _ reader: inout SettingReader, _ path: String
    ) -> RollOptions? {
        guard let setting = reader.setting("roll") else { return nil }
        var roll = SettingReader(setting, .fileRoll)
        var options = RollOptions(path: path)
        options.bytes = roll.bytes("size").map { UInt64($0) }
        options.periodMilliseconds = roll.milliseconds("every")
        options.goesByArrival = roll.choice("by") == "arrival"
        for finding in roll.finish() { reader.add(finding) }
        if let problem = options.problem {
            reader.report("path", "\"path\": \(problem)")
        }
        return options
    }
}

extension SectionSpecification {
    fileprivate static let fileSink = SectionSpecification(
        "sink.file",
        """
        Rows into a file: JSON lines, or CSV with a header. Folders of its path are made. A name \
        that ends in .gz or .zst is packed. A file that no run of the store has written is never \
        changed, unless `append` or `run --overwrite` says so.
        """,
        keys: [
            .required(
                "path", .text("a file"),
                "The file, relative to the pipeline folder; no other sink may write to it. One "
                    + "that ends in .partial loses that ending when a `--once` run ends well.",
                example: "out/orders.jsonl"),
            .optional(
                "append", .flag, usual: .flag(false),
                "Rows go behind what the file holds already, also when the store is new.",
                example: "true"),
            .upsert,
            .optional(
                "format", .choice(["jsonl", "csv"]),
                usual: .described("csv for names that end in .csv or .tsv, else jsonl"),
                "How rows are written.", example: "csv"),
            .optional(
                "columns", .texts("a field"), usual: .described("the fields of the first row"),
                "The columns of CSV in their order; a row with another field is a dead letter of "
                    + "kind refused, unless there is rest.",
                example: "[id, name, total]"),
            .optional(
                "rest", .text("a column"),
                usual: .described("rest for dead letters without columns, else none"),
                "A column that holds the fields without a column of their own, as a JSON object.",
                example: "other"),
            .optional(
                "null_as", .scalar, usual: .described("an empty cell"),
                "What CSV has for null and for a field that is not there; a text that would read "
                    + "the same is quoted.",
                example: "NULL"),
            .optional(
                "delimiter", .character,
                usual: .described("a comma, and a tab for names that end in .tsv"),
                "What stands between the cells of CSV.", example: "\";\""),
            .optional(
                "roll", .nested(.fileRoll), usual: .described("one file"),
                "Rows go into one file after the other; the path has %n for the number of the "
                    + "first row, and may have %Y %m %d %H %M %S for its time in UTC. A file that "
                    + "is written ends in .partial.",
                example: "{size: 128MiB, every: 1h}"),
        ],
        rules: [.excludes("roll", ["append"])])

    fileprivate static let fileRoll = SectionSpecification(
        "sink.file.roll", "When a sink closes its file and begins the next one.",
        keys: [
            .optional(
                "size", .size(1...Int.max), usual: .described("files may be of any size"),
                "A file is closed when it has reached this size.", example: "128MiB"),
            .optional(
                "every", .duration(.milliseconds),
                usual: .described("the parts of the time in path tell"),
                "Each file holds rows of one such period, counted from 1970.", example: "1h"),
            .optional(
                "by", .choice(["event", "arrival"]), usual: .word("event"),
                "Which time counts: that of the row, by `time` of the pipeline, or that of the "
                    + "clock when it is written.",
                example: "arrival"),
        ])
}

extension KeySpecification {
    static let upsert = KeySpecification.optional(
        "upsert", .flag, usual: .flag(false),
        "Says that readers keep the last revision of a row, so that windows may revise theirs.",
        example: "true")
}
