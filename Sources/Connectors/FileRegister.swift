internal import Connecting
internal import Glibc
internal import Records
internal import Threads

/// Which file is which: finds files again by device, inode and content, under whatever name.
final class FileRegister {
    let options: FileSource.Options
    let context: RunContext
    private let openLimit: Int
    /// By the path under which a live file stands.
    private var byPath: [String: SourceFile] = [:]
    var byIdentity: [FileIdentity: SourceFile] = [:]
    /// The newest file of each name that people see, and all with a common stem.
    var byShown: [String: SourceFile] = [:]
    var byStem: [String: [SourceFile]] = [:]
    var generations: [String: Int] = [:]
    /// Open files, the one that was used last at the end.
    private var open: [SourceFile] = []
    /// Files whose position has changed since it was told, and names that are forgotten.
    private var touched: [ObjectIdentifier: SourceFile] = [:]
    private var forgotten: [String] = []
    private(set) var live: [SourceFile] = []
    private var listings: [String: (at: UInt64, entries: [FolderEntry])] = [:]
    /// Files of an earlier run are known, or at least that there was one.
    private let isContinued: Bool
    /// Says that the source has begun, in a store without any file.
    private static let beginning = ":begun"
    private var hasToldBeginning = false

    init(_ options: FileSource.Options, _ context: RunContext) {
        self.options = options
        self.context = context
        var limit = rlimit()
        _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        openLimit = max(4, min(options.maxOpenFiles, Int(clamping: limit.rlim_cur) / 2))
        let known = context.resumption.positions
        isContinued = !known.isEmpty
        hasToldBeginning = known[Self.beginning] != nil
        for (key, bytes) in known.sorted(by: { $0.key < $1.key }) { remember(key, bytes) }
    }

    private func remember(_ key: String, _ bytes: [UInt8]) {
        guard var position = FilePosition(bytes) else { return }
        var base = key
        let suffix = "~\(position.generation)"
        if position.isOld {
            position.shown = key
        } else if position.generation > 1, key.hasSuffix(suffix) {
            base.removeLast(suffix.count)
        }
        let shown = position.shown
        let found = FoundFile(path: resolve(shown, in: context.folder), shown: shown)
        let file = make(base: base, position, found)
        file.told = bytes
        if file.name != key { forgotten.append(key) }
        generations[base] = max(generations[base] ?? 0, position.generation)
        if let other = byShown[shown], other.generation > file.generation {
            byShown[shown] = other
        } else {
            byShown[shown] = file
        }
        if file.position.identity != FileIdentity() { byIdentity[file.position.identity] = file }
        byStem[rotationStem(shown), default: []].append(file)
    }

    private func make(
        base: String, _ position: FilePosition, _ found: FoundFile
    ) -> SourceFile {
        let format = TextFormat(name: base, format: options.format, delimiter: options.delimiter)
        let framing: (any RecordFraming)?
        switch format.records {
        case .lines: framing = nil
        case .json:
            framing = JSONFraming(
                shown: found.shown, recordLimit: context.recordLimit, warn: warn)
        case .csv:
            var csv = options.csv
            csv.delimiter = format.delimiter
            framing = CSVFraming(
                csv, shown: found.shown, recordLimit: context.recordLimit, warn: warn)
        }
        return SourceFile(base: base, position, found, format, framing)
    }

    private func warn(_ text: String) { context.warn("warning: \(text)\n") }

    // MARK: Finding

    /// What stands at a path in this run.
    func holder(of path: String) -> SourceFile? { byPath[path] }

    /// Takes in what stands at a path. Returns the files to be read because of it, in their order:
    /// none when it is known already, and before a new file that which stood there.
    ///
    /// - Parameter isFirst: it is there at the start of the run.
    /// - Parameter waits: a file that may still be written as a copy of another comes later.
    func admit(
        _ found: FoundFile, isFirst: Bool, waits: Bool = false
    ) throws(ConnectorError) -> [SourceFile] {
        guard found.path != "-", let status = FileStatus(path: found.path) else {
            return try admitOther(found, nil)
        }
        guard status.isRegular else { return try admitOther(found, status) }
        var isRewritten = false
        if let known = byIdentity[status.identity] {
            if known.isLive {
                noteName(found, of: known, status)
                return []
            }
            if let cursor = try known.makeCursor(found, resumedAt: known.position, context) {
                let before = predecessor(of: found, known)
                return before + [enter(known, found, cursor)]
            }
            byIdentity[status.identity] = nil
            isRewritten = known.shown == found.shown
        }
        // Nobody can tell yet of what file it will be a copy.
        if status.size == 0 { return [] }
        let previous = byShown[found.shown]
        let before = predecessor(of: found, nil)
        if let copy = try copy(at: found, status) { return before + [copy] }
        if waits, isUnfinishedCopy(found, status) { return before }
        if let previous, before.isEmpty, previous.place().offset > 0, !exists(previous) {
            isRewritten = true
        }
        if isRewritten { warnRewritten(found.shown) }
        let file = makeNew(found)
        let cursor = try file.makeCursor(found, context)
        if isFirst, options.fromEnd, !isContinued { try cursor.passOver() }
        file.predecessor = before.last
        return before + [enter(file, found, cursor)]
    }

    private func warnRewritten(_ shown: String) {
        warn(
            "\(shown): was replaced, rewritten or truncated; it is read from its start, "
                + "as a new file")
    }

    /// Stdin, pipes, and paths without anything.
    private func admitOther(
        _ found: FoundFile, _ status: FileStatus?
    ) throws(ConnectorError) -> [SourceFile] {
        if byPath[found.path] != nil { return [] }
        if found.path != "-", status == nil, let moved = predecessor(of: found, nil).first {
            return [moved]
        }
        // Whoever names a pipe wants to read it; a pattern means files.
        let names = context.inputs.isEmpty ? options.paths : context.inputs
        if status?.isFolder == false, !names.contains(found.shown),
            let problem = fileProblem(found.path)
        {
            throw ConnectorError("\(found.shown): \(problem)")
        }
        let known = byShown[found.shown]
        let file = known ?? makeNew(found)
        let cursor = try file.makeCursor(found, context)
        if known != nil { cursor.nameBehind(file.position) }
        return [enter(file, found, cursor)]
    }

    func makeNew(_ found: FoundFile) -> SourceFile {
        var position = FilePosition()
        position.generation = (generations[found.shown] ?? 0) + 1
        position.shown = found.shown
        generations[found.shown] = position.generation
        let old = position.generation - Self.keptGenerations
        if old > 0 { forgotten.append(old == 1 ? found.shown : "\(found.shown)~\(old)") }
        let file = make(base: found.shown, position, found)
        byStem[rotationStem(found.shown), default: []].append(file)
        return file
    }

    /// So many files under one name are known again.
    private static let keptGenerations = 100

    /// The file is read in this run.
    func enter(
        _ file: SourceFile, _ found: FoundFile, _ cursor: FileCursor
    ) -> SourceFile {
        let old = file.position.identity
        if old != cursor.reader.opened.identity, byIdentity[old] === file {
            byIdentity[old] = nil
        }
        file.move(to: found)
        file.position.identity = cursor.reader.opened.identity
        file.cursor = cursor
        file.status = cursor.reader.opened
        if !file.isLive { live.append(file) }
        file.isLive = true
        file.isAway = false
        byPath[found.path] = file
        byShown[found.shown] = file
        if cursor.reader.opened.isRegular { byIdentity[file.position.identity] = file }
        use(file)
        touch(file)
        return file
    }

    /// A live file has one more name; that counts when its own leads elsewhere.
    private func noteName(_ found: FoundFile, of file: SourceFile, _ status: FileStatus) {
        guard file.path != found.path else { return }
        guard file.isAway || FileStatus(path: file.path)?.identity != status.identity else {
            return
        }
        if byPath[file.path] === file { byPath[file.path] = nil }
        file.move(to: found)
        file.isAway = false
        byPath[found.path] = file
        touch(file)
    }

    // MARK: Endings

    /// The path of a live file leads to another one now, or to none.
    func leave(_ file: SourceFile) {
        if byPath[file.path] === file { byPath[file.path] = nil }
        file.isAway = true
    }

    /// What stands at the path of a file is no longer what was read of it: it counts as a new one,
    /// unless it is a copy of another. Where a copy was made of the old one before, that goes on.
    func replace(_ file: SourceFile, waits: Bool) throws(ConnectorError) -> [SourceFile] {
        let found = FoundFile(path: file.path, shown: file.shown)
        drop(file)
        warnRewritten(found.shown)
        return try admit(found, isFirst: false, waits: waits)
    }

    /// A live file is read to its end and will not grow.
    func drop(_ file: SourceFile) {
        close(file)
        if byPath[file.path] === file { byPath[file.path] = nil }
        if byIdentity[file.position.identity] === file { byIdentity[file.position.identity] = nil }
        file.isLive = false
        file.isAway = true
        live.removeAll { $0 === file }
    }

    // MARK: Open files

    /// The cursor of a file, which is opened again when it was one of too many; nil when it cannot
    /// be found any more or was rewritten meanwhile.
    func cursor(of file: SourceFile) throws(ConnectorError) -> FileCursor? {
        if let original = file.original {
            file.original = nil
            let found = FoundFile(path: file.path, shown: file.shown)
            let place = original.place()
            if place.offset > file.place().offset,
                let cursor = try file.makeCursor(found, resumedAt: place, context)
            {
                file.cursor = cursor
            }
        }
        if file.cursor == nil {
            guard file.path == "-" || find(file) else { return nil }
            let found = FoundFile(path: file.path, shown: file.shown)
            guard let cursor = try file.makeCursor(found, resumedAt: file.place(), context) else {
                return nil
            }
            file.cursor = cursor
        }
        use(file)
        return file.cursor
    }

    /// Looks for a file that is not open: where it was, or under another name in that folder.
    private func find(_ file: SourceFile) -> Bool {
        let identity = file.position.identity
        if FileStatus(path: file.path)?.identity == identity { return true }
        let folder = folderName(of: file.path)
        for entry in listing(of: folder) where entry.inode == identity.inode {
            let path = String(file.path.dropLast(fileName(of: file.path).count)) + entry.name
            guard FileStatus(path: path)?.identity == identity else { continue }
            let prefix = file.shown.dropLast(fileName(of: file.shown).count)
            file.move(to: FoundFile(path: path, shown: prefix + entry.name))
            return true
        }
        return false
    }

    /// What a folder holds, as it was up to 50 ms ago: many files may be looked for at once.
    func listing(of folder: String) -> [FolderEntry] {
        let now = monotonicNanoseconds()
        if let known = listings[folder], now - known.at < 50_000_000 { return known.entries }
        let entries = folderEntries(folder)
        listings = [folder: (now, entries)]
        return entries
    }

    private func use(_ file: SourceFile) {
        if open.last === file { return }
        open.removeAll { $0 === file }
        open.append(file)
        guard open.count > openLimit else { return }
        let oldest = open.removeFirst()
        oldest.closeCursor()
    }

    func close(_ file: SourceFile) {
        file.closeCursor()
        open.removeAll { $0 === file }
    }

    // MARK: Positions

    func touch(_ file: SourceFile) { touched[ObjectIdentifier(file)] = file }

    /// Calls with positions that have changed. Those of `last` are before `next`.
    func takePositions(
        last: SourceFile?, before next: RecordPlace?,
        _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        if !hasToldBeginning, options.fromEnd {
            hasToldBeginning = true
            body(Self.beginning, [0x31])
        }
        for name in forgotten { body(name, []) }
        forgotten = []
        let files = touched.values.sorted { $0.name < $1.name }
        touched = [:]
        for file in files {
            let isOpen = file === last && next != nil
            if isOpen { touch(file) }
            let bytes = file.place(before: isOpen ? next : nil).encoded
            guard bytes != file.told else { continue }
            file.told = bytes
            body(file.name, bytes)
        }
    }
}

/// The last part of a path.
func fileName(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
}
