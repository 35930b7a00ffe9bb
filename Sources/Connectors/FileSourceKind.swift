package import Connecting

extension SourceKind {
    /// `file`: JSON lines, JSON or CSV from files or stdin.
    package static let file = SourceKind(name: "file", section: .fileSource) { reader in
        var options = FileSource.Options(paths: reader.strings("path") ?? [])
        options.format = reader.choice("format")
        options.follow = reader.bool("follow") ?? options.follow
        options.fromEnd = reader.choice("from") == "end"
        options.lastLine = reader.choice("last_line").flatMap(FileSource.LastLine.init) ?? .auto
        options.maxOpenFiles = reader.integer("max_open_files") ?? options.maxOpenFiles
        options.delimiter = reader.character("delimiter")
        options.csv.infersTypes = reader.bool("infer_types") ?? false
        options.csv.nullValues = reader.strings("null_values") ?? []
        options.csv.comment = reader.character("comment")
        options.csv.skip = reader.integer("skip") ?? 0
        if let names = reader.strings("header") {
            options.csv.header = header(names, &reader)
        }
        let configured = options
        return { (context: RunContext) throws(ConnectorError) -> any Source in
            try FileSource(configured, context: context)
        }
    }

    private static func header(
        _ names: [String], _ reader: inout SettingReader
    ) -> CSVHeader.Rule {
        if names == ["auto"] { return .auto }
        if names == ["strict"] { return .strict }
        if Set(names).count < names.count {
            reader.report("header", "\"header\" has a name twice")
        }
        return .names(names)
    }
}

extension SectionSpecification {
    private static let usual = FileSource.Options(paths: [])

    fileprivate static let fileSource = SectionSpecification(
        "source.file",
        "Records from files: JSON lines, JSON or CSV, plain or packed by gzip or zstd.",
        keys: [
            .required(
                "path", .texts("a file or a pattern such as in/*.jsonl"),
                "What is read, in the order of names; ** stands for folders; - is stdin.",
                example: "\"input/**/*.jsonl\""),
            .optional(
                "format", .choice(["jsonl", "json", "csv"]),
                usual: .described("csv for .csv and .tsv, json for .json, else jsonl"),
                "How records are written; json is one text after the other, or a list of them.",
                example: "csv"),
            .optional(
                "follow", .flag, usual: .flag(usual.follow),
                "Waits for more at the end of the files, through rotation and for new ones.",
                example: "true"),
            .optional(
                "from", .choice(["start", "end"]), usual: .word(usual.fromEnd ? "end" : "start"),
                "Where files begin that are there at the first start; later ones begin at theirs.",
                example: "end"),
            .optional(
                "last_line", .choice(["auto", "deliver", "wait"]),
                usual: .word(usual.lastLine.rawValue),
                "What is done with a last line without a line break; auto waits where it may grow.",
                example: "deliver"),
            .optional(
                "max_open_files", .integer(1...65_536), usual: .integer(usual.maxOpenFiles),
                "So many followed files are open at the same time.", example: "64"),
        ] + csvKeys,
        rules: [
            .needsTrue("null_values", "infer_types", why: "cells are texts without it")
        ])

    private static let csvKeys: [KeySpecification] = [
        .optional(
            "header", .texts("auto, strict or a name"), usual: .word("auto"),
            "Names of CSV columns: auto mends the first row, strict does not, a list replaces it.",
            example: "[id, price]"),
        .optional(
            "delimiter", .character, usual: .described("a comma, and a tab for .tsv"),
            "What stands between the cells of CSV.", example: "\";\""),
        .optional(
            "comment", .character, "Lines of CSV that begin with it are passed over.",
            example: "\"#\""),
        .optional(
            "skip", .integer(0...1_000_000), usual: .integer(usual.csv.skip),
            "So many lines at the start of each CSV file are passed over.", example: "2"),
        .optional(
            "infer_types", .flag, usual: .flag(usual.csv.infersTypes),
            "Takes cells of CSV without quotes that are empty, numbers, true or false for values.",
            example: "true"),
        .optional(
            "null_values", .texts("a text of a cell"),
            "Texts of cells that are null, beside the empty one.", example: "[NA, \"-\"]"),
    ]
}
