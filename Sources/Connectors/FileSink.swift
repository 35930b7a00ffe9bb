internal import Connecting
internal import Glibc
internal import Records
internal import Threads

/// What `sinks.file` says.
struct FileSinkOptions: Sendable {
    var path: String
    var appends = false
    /// The options of CSV; nil for JSON lines.
    var csv: CSVWritingOptions?
    var roll: RollOptions?
}

/// Rows into one file, visible as they are committed.
///
/// A run that keeps positions goes on where its last commit was; see `SinkFile`. A path that ends
/// in `.partial` loses that ending when a `--once` run has ended well.
final class FileSink: Sink {
    private let options: FileSinkOptions
    private let context: RunContext
    private let packing: Packing?
    private let packer: RowPacker?
    private let file: SinkFile
    private let writer: CSVRowWriter?
    /// The name that the file takes at the end; nil when it has it already.
    private var finalPath: String?
    private var lines: [UInt8] = []
    private var told: [UInt8]?
    private var memberBegan: UInt64 = 0
    private var isOver = false

    convenience init(path: String, append: Bool, context: RunContext) throws(ConnectorError) {
        try self.init(FileSinkOptions(path: path, appends: append), context)
    }

    init(_ options: FileSinkOptions, _ context: RunContext) throws(ConnectorError) {
        self.options = options
        self.context = context
        packing = Packing.split(options.finalPath).packing
        packer = packing.map { RowPacker($0) }
        let path = resolve(options.path, in: context.folder)
        let known = context.resumption.position(of: options.path, at: path)
        let position = known.flatMap { SinkPosition($0) }
        var (place, shown) = (path, options.path)
        if path != resolve(options.finalPath, in: context.folder) {
            let final = resolve(options.finalPath, in: context.folder)
            // What a run has finished goes on under its final name.
            let isFinished = fileType(path) == nil && fileType(final) != nil
            if isFinished {
                (place, shown) = (final, options.finalPath)
            } else if context.once {
                finalPath = final
            }
        }
        let rules = SinkFileRules(context, appends: options.appends, isPacked: packing != nil)
        file = SinkFile(path: place, shown: shown, rules: rules)
        writer = try options.csv.map { (csv) throws(ConnectorError) in
            CSVRowWriter(csv, columns: try options.columns(after: position))
        }
        if let position, let last = position.files.first {
            told = known
            try file.open(last)
        } else if let older = OlderSinkPosition.find(
            in: context.resumption.positions, path: options.path)
        {
            try file.open(older)
        } else {
            try file.open()
            try takeHeader()
        }
        noteHeader()
    }

    /// Rows that go behind those of another have its columns.
    private func takeHeader() throws(ConnectorError) {
        guard let writer, file.length > 0, !file.beginsAnew else { return }
        let found = readHeader(file.descriptor, packing, options.csv?.delimiter ?? 0x2C)
        if let problem = writer.adopt(found) {
            throw ConnectorError("error: \(options.path): \(problem)")
        }
    }

    private func noteHeader() {
        guard let header = writer?.header else { return }
        file.head = packing?.pack(header) ?? header
    }

    // MARK: Rows

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        guard let writer else { return try unsafe pass(rows) }
        lines.removeAll(keepingCapacity: true)
        var refused: [RefusedRow] = []
        var index = 0
        let isFirst = writer.columns == nil
        unsafe forEachRow(rows) { row in
            if let reason = writer.append(row, to: &lines) {
                refused.append(RefusedRow(index: index, reason: "\(options.path): \(reason)"))
            }
            index += 1
        }
        if isFirst { noteHeader() }
        let written = lines
        try unsafe written.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
            try unsafe pass(bytes)
        }
        guard let first = refused.first else { return }
        throw ConnectorError("error: \(first.reason)", remedy: .refuse(refused))
    }

    private func pass(_ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        guard let packer else { return try unsafe file.write(bytes) }
        if packer.isEmpty { memberBegan = monotonicNanoseconds() }
        unsafe packer.add(bytes)
        if packer.isFull { try file.write(packer.end()) }
    }

    func flush() throws(ConnectorError) {}

    func look() throws(ConnectorError) -> Bool {
        guard !isOver else { return false }
        if !file.rules.isKept, let packer, !packer.isEmpty,
            monotonicNanoseconds() >= memberBegan + 1_000_000_000
        {
            // Without commits a member ends every second.
            try file.write(packer.end())
        }
        return try file.look()
    }

    // MARK: Commits

    func prepareCommit() throws(ConnectorError) {
        guard !isOver else { return }
        if let packer { try file.write(packer.end()) }
        try file.settle()
    }

    var awaitsCommit: Bool { file.awaitsCommit && !isOver }

    func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void) {
        guard file.rules.isKept, let place = file.position() else { return }
        var position = SinkPosition()
        position.files = [place]
        position.columns = writer?.columns
        let now = position.encoded
        guard now != told else { return }
        told = now
        body(options.path, now)
    }

    var syncer: (@Sendable () throws(ConnectorError) -> Void)? {
        sync(file.descriptors, shown: options.path)
    }

    // MARK: The end

    func finish() throws(ConnectorError) {
        guard !isOver else { return }
        defer { end() }
        if let packer { try file.write(packer.end()) }
        try file.finish()
        if file.length == 0, !file.isSpecial {
            // Readers of CSV want a header, and those of packed files one member at least.
            let header = options.csv?.columns == nil ? [] : file.head
            file.head = []
            try file.write(header.isEmpty ? packing?.pack([]) ?? [] : header)
            try file.finish()
        }
        guard let finalPath, !file.isSpecial else { return }
        if fsync(file.descriptor) != 0 {
            throw ConnectorError("error: \(options.path): \(systemText(errno)) (fsync)")
        }
        guard unsafe rename(file.path, finalPath) == 0 else {
            throw ConnectorError("error: \(options.path): \(systemText(errno)) (rename)")
        }
    }

    func abandon() { end() }

    private func end() {
        // What is told from here on is as it stands now.
        _ = file.position()
        isOver = true
        file.close()
    }

    deinit { file.close() }
}

/// Waits until what was written to files is on stable storage.
func sync(
    _ descriptors: [Int32], shown: String
) -> @Sendable () throws(ConnectorError) -> Void {
    { () throws(ConnectorError) in
        for descriptor in descriptors where fdatasync(descriptor) != 0 {
            // Pipes and devices have nothing to wait for.
            guard errno != EINVAL, errno != EROFS else { continue }
            throw ConnectorError("error: \(shown): \(systemText(errno)) (fdatasync)")
        }
    }
}

/// Calls with each row, without its line break.
func forEachRow(_ rows: UnsafeRawBufferPointer, _ body: (Span<UInt8>) -> Void) {
    let all = unsafe Span<UInt8>(_unsafeBytes: rows)
    var start = 0
    while start < all.count {
        var end = start
        while end < all.count, all[end] != 0x0A { end += 1 }
        body(all.extracting(start..<end))
        start = end + 1
    }
}

extension Resumption {
    /// The position under the path as it is written, or of the very file that stands there now: a
    /// path may come from the environment.
    fileprivate func position(of shown: String, at path: String) -> [UInt8]? {
        if let known = positions[shown], SinkPosition(known) != nil { return known }
        guard let status = SinkFileStatus(path) else { return nil }
        return positions.values.first { bytes in
            let files = SinkPosition(bytes)?.files ?? []
            return files.count == 1 && files[0].first == 0 && files[0].inode == status.inode
                && files[0].device == status.device
        }
    }
}

extension FileSinkOptions {
    /// The path without `.partial` at its end.
    var finalPath: String {
        let ending = ".partial"
        return path.hasSuffix(ending) ? String(path.dropLast(ending.count)) : path
    }

    /// The columns that earlier runs have begun with, when they are the declared ones.
    func columns(after position: SinkPosition?) throws(ConnectorError) -> [String]? {
        guard let known = position?.columns else { return nil }
        if let declared = csv?.allColumns, declared != known {
            throw ConnectorError(
                "error: \(path): was begun with the columns \(known.joined(separator: ", ")); "
                    + "move it away to begin one with others, or leave `columns` as it was")
        }
        return known
    }
}
