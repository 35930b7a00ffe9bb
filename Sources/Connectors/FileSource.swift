package import Connecting
internal import Glibc
internal import Records

/// Records from files, one after the other, or from several that are followed as they grow.
final class FileSource: Source {
    /// The options of `pipeline.yaml`.
    struct Options: Sendable {
        var paths: [String]
        var format: String?
        var follow = false
        var infersTypes = false
        var delimiter: UInt8 = 0x2C
        var fromEnd = false
    }

    private let options: Options
    private let context: RunContext
    private var waiting: [(path: String, shown: String)]
    private var cursors: [FileCursor] = []
    private var turn = 0
    /// Positions of files that have ended, to be told.
    private var finished: [(name: String, place: FilePosition)] = []
    private var told: [String: FilePosition] = [:]
    /// The file that was read last.
    private weak var last: FileCursor?

    init(_ options: Options, context: RunContext) throws(ConnectorError) {
        self.options = options
        self.context = context
        let isReplaced = !context.inputs.isEmpty
        let patterns = isReplaced ? context.inputs : options.paths
        waiting = []
        for pattern in patterns {
            waiting += try Self.expand(
                pattern, in: isReplaced ? "" : context.folder, mayBeEmpty: options.follow)
        }
        if let first = waiting.first, !options.follow {
            // What cannot be opened is said before the first record, not after.
            for file in waiting.dropFirst() {
                close(try Self.probe(file.path, shown: file.shown))
            }
            cursors = [try open(first)]
            waiting.removeFirst()
        }
    }

    private static func probe(_ path: String, shown: String) throws(ConnectorError) -> Int32 {
        path == "-" ? dup(0) : try openForReading(path, shown: shown)
    }

    /// The files that a path or pattern names, in the order of their names.
    private static func expand(
        _ pattern: String, in folder: String, mayBeEmpty: Bool
    ) throws(ConnectorError) -> [(path: String, shown: String)] {
        if pattern == "-" { return [("-", "-")] }
        let full = resolve(pattern, in: folder)
        guard pattern.contains(where: { "*?[".contains($0) }) else { return [(full, pattern)] }
        let shownPrefix = full.count - pattern.count
        let files = matches(of: full).map { ($0, String($0.dropFirst(shownPrefix))) }
        if files.isEmpty && !mayBeEmpty {
            throw ConnectorError("\(pattern): no file matches; check source.file.path")
        }
        return files
    }

    private func open(_ file: (path: String, shown: String)) throws(ConnectorError) -> FileCursor {
        var name = file.shown
        for suffix in [".gz", ".zst"] where name.hasSuffix(suffix) {
            name.removeLast(suffix.count)
        }
        let isCSV = options.format == "csv" || (options.format == nil && name.hasSuffix(".csv"))
        let csv =
            isCSV
            ? CSVFraming(
                delimiter: options.delimiter, infersTypes: options.infersTypes, shown: file.shown)
            : nil
        let cursor = try FileCursor(path: file.path, shown: file.shown, csv: csv, context: context)
        if let place = context.resumption.positions[file.shown].flatMap(FilePosition.init) {
            try cursor.resume(at: place)
            told[file.shown] = place
            return cursor
        }
        if options.follow && options.fromEnd && !context.once { cursor.skipToEnd() }
        return cursor
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        if options.follow {
            return try follow(into: batch, limit: limit, milliseconds: milliseconds)
        }
        while true {
            if cursors.isEmpty {
                guard !waiting.isEmpty else { return .end }
                cursors = [try open(waiting.removeFirst())]
            }
            last = cursors[0]
            switch try cursors[0].read(into: batch, limit: limit, milliseconds: milliseconds) {
            case .bytes: return .records
            case .nothingYet: return .nothingYet
            case .end:
                noteFinished(cursors[0])
                cursors.removeAll()
            }
        }
    }

    func takePositions(
        before next: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        guard context.resumption.isKept else { return }
        let current = cursors.map { cursor in
            (name: cursor.shown, place: cursor.place(before: cursor === last ? next : nil))
        }
        for (name, place) in finished + current where told[name] != place {
            told[name] = place
            body(name, place.encoded)
        }
        finished.removeAll()
    }

    private func noteFinished(_ cursor: FileCursor) {
        guard context.resumption.isKept else { return }
        finished.append((cursor.shown, cursor.place(before: nil)))
    }

    /// Reads the files in turn; at the end of all of them waits for more, unless once.
    private func follow(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        try openNewFiles()
        for _ in cursors.indices {
            turn = (turn + 1) % cursors.count
            let cursor = cursors[turn]
            last = cursor
            // Looked up before reading: what was written before the rotation is then read first.
            let isReplaced = cursor.isReplaced
            switch try cursor.readGrowing(into: batch, limit: limit) {
            case .bytes: return .records
            case .nothingYet: break
            case .end:
                if context.once && !isReplaced {
                    if try cursor.takeRest(into: batch) { return .records }
                } else if isReplaced, try cursor.takeRest(into: batch) {
                    return .records
                } else if try cursor.followRotation() {
                    return .nothingYet
                }
            }
        }
        if context.once { return .end }
        usleep(UInt32(min(milliseconds, 20)) * 1000)
        return .nothingYet
    }

    private func openNewFiles() throws(ConnectorError) {
        let isReplaced = !context.inputs.isEmpty
        for pattern in isReplaced ? context.inputs : options.paths {
            let folder = isReplaced ? "" : context.folder
            for file in try Self.expand(pattern, in: folder, mayBeEmpty: true)
            where !cursors.contains(where: { $0.path == file.path }) {
                guard file.path == "-" || fileType(file.path) != nil else { continue }
                cursors.append(try open(file))
            }
        }
    }
}

/// The paths that a pattern matches, in byte order.
private func matches(of pattern: String) -> [String] {
    var result = unsafe glob_t()
    defer { unsafe globfree(&result) }
    guard unsafe glob(pattern, 0, nil, &result) == 0 else { return [] }
    var paths: [String] = []
    let count = unsafe Int(result.gl_pathc)
    for index in 0..<count {
        if let path = unsafe result.gl_pathv[index] { paths.append(unsafe String(cString: path)) }
    }
    return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

extension SourceKind {
    /// `file`: JSON lines or CSV from files or stdin.
    package static let file = SourceKind(name: "file", section: .fileSource) { reader in
        var options = FileSource.Options(paths: reader.strings("path") ?? [])
        options.format = reader.choice("format")
        options.follow = reader.bool("follow") ?? options.follow
        options.infersTypes = reader.bool("infer_types") ?? options.infersTypes
        options.fromEnd = reader.choice("from") == "end"
        if let delimiter = reader.string("delimiter") {
            let bytes = Array(delimiter.utf8)
            if bytes.count == 1, bytes[0] != 0x22, bytes[0] != 0x0A {
                options.delimiter = bytes[0]
            } else {
                reader.report("delimiter", "\"delimiter\" must be one character")
            }
        }
        let configured = options
        return { (context: RunContext) throws(ConnectorError) -> any Source in
            try FileSource(configured, context: context)
        }
    }
}

extension SectionSpecification {
    private static let usual = FileSource.Options(paths: [])

    fileprivate static let fileSource = SectionSpecification(
        "source.file", "Records from files, JSON lines or CSV, plain or packed by gzip or zstd.",
        keys: [
            .required(
                "path", .texts("a file or a pattern such as in/*.jsonl"),
                "What is read, in the order of names, relative to the pipeline folder; - is stdin.",
                example: "\"input/*.jsonl\""),
            .optional(
                "format", .choice(["jsonl", "csv"]),
                usual: .described("csv for names that end in .csv, else jsonl"),
                "How records are written; a row of CSV becomes an object named by the header.",
                example: "csv"),
            .optional(
                "follow", .flag, usual: .flag(usual.follow),
                "Waits for more at the end of the files, through rotation and for new ones.",
                example: "true"),
            .optional(
                "infer_types", .flag, usual: .flag(usual.infersTypes),
                "Takes cells of CSV without quotes that are numbers, true or false for those.",
                example: "true"),
            .optional(
                "delimiter", .character,
                usual: .word(String(decoding: [usual.delimiter], as: UTF8.self)),
                "What stands between the cells of CSV.", example: "\";\""),
            .optional(
                "from", .choice(["start", "end"]), usual: .word(usual.fromEnd ? "end" : "start"),
                "Where a followed file begins when no position of it is known.", example: "end"),
        ])
}
