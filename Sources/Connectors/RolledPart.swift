internal import Connecting
internal import Glibc

/// One file of a rolling sink while rows go to it. It ends in `.partial` until it is closed and all
/// of its rows are committed.
final class RolledPart {
    let file: SinkFile
    /// The file's name from then on, from the pipeline folder and as a whole.
    let shown: String
    private let finalPath: String
    private let packer: RowPacker?
    /// The period whose rows it holds, and a time within it.
    let period: String
    let time: Int64
    /// The number of its first row.
    let first: UInt64
    /// No more rows come.
    var isClosed = false
    /// A commit counts all of its rows; once it is kept the file gets its name.
    var isCounted = false
    private var staged: [UInt8] = []

    init(
        path shown: String, _ context: RunContext, _ rules: SinkFileRules, _ packing: Packing?,
        period: String, time: Int64, first: UInt64
    ) {
        self.shown = shown
        finalPath = resolve(shown, in: context.folder)
        packer = packing.map { RowPacker($0) }
        let ending = RollPath.partialEnding
        file = SinkFile(path: finalPath + ending, shown: shown + ending, rules: rules)
        self.period = period
        self.time = time
        self.first = first
    }

    /// How large the file is, as far as that can be told.
    var size: UInt64 { file.length + UInt64(staged.count + (packer?.count ?? 0)) }

    func add(_ row: Span<UInt8>) throws(ConnectorError) {
        for index in row.indices { staged.append(row[index]) }
        staged.append(0x0A)
        // What is packed becomes smaller, so its size is looked at more often.
        if staged.count >= (packer == nil ? 1 << 18 : 1 << 14) { try pass() }
    }

    func add(line: [UInt8]) throws(ConnectorError) {
        staged += line
        if staged.count >= (packer == nil ? 1 << 18 : 1 << 14) { try pass() }
    }

    /// What was added goes on its way.
    func pass() throws(ConnectorError) {
        guard !staged.isEmpty else { return }
        defer { staged.removeAll(keepingCapacity: true) }
        guard let packer else { return try file.write(staged) }
        let rows = staged
        unsafe rows.span.bytes.withUnsafeBytes { unsafe packer.add($0) }
        if packer.isFull { try file.write(packer.end()) }
    }

    /// All rows are in the file from here on.
    func complete() throws(ConnectorError) {
        try pass()
        if let packer { try file.write(packer.end()) }
    }

    var position: SinkFilePosition? {
        guard var position = file.position() else { return nil }
        position.path = shown
        position.first = first
        position.time = time
        position.isClosed = isClosed
        return position
    }

    /// Gives the file its name, for good.
    func takeName() throws(ConnectorError) {
        guard SinkFileStatus(finalPath)?.size ?? 0 == 0 || file.rules.overwrites else {
            throw ConnectorError(
                "error: \(shown): is there already; move it away and start again")
        }
        guard unsafe rename(file.path, finalPath) == 0 else {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (rename)")
        }
        if file.rules.isKept { syncFolder(of: finalPath) }
        file.close()
    }
}

/// Makes names in a file's folder last.
private func syncFolder(of path: String) {
    let folder = String(path.dropLast(path.split(separator: "/").last?.count ?? 0))
    let descriptor = unsafe open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = fsync(descriptor)
    close(descriptor)
}
