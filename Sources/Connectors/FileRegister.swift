internal import Connecting
internal import Glibc
internal import Records

/// Which file is which: finds files again by device, inode and content, under whatever name.
final class FileRegister {
    private let options: FileSource.Options
    private let context: RunContext
    private let openLimit: Int
    /// By the path under which a live file stands.
    private var byPath: [String: SourceFile] = [:]
    private var byIdentity: [FileIdentity: SourceFile] = [:]
    /// The newest file of each name that people see, and all with a common stem.
    private var byShown: [String: SourceFile] = [:]
    private var byStem: [String: [SourceFile]] = [:]
    private var generations: [String: Int] = [:]
    /// Open files, the one that was used last at the end.
    private var open: [SourceFile] = []
    /// Files whose position has changed since it was told, and names that are forgotten.
    private var touched: [ObjectIdentifier: SourceFile] = [:]
    private var forgotten: [String] = []
    private(set) var live: [SourceFile] = []
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
                let before = try predecessor(of: found, known)
                return before + [enter(known, found, cursor)]
            }
            byIdentity[status.identity] = nil
            isRewritten = known.shown == found.shown
        }
        // Nobody can tell yet of what file it will be a copy.
        if status.size == 0 || (waits && isUnfinishedCopy(found, status)) { return [] }
        if let copy = try copy(at: found, status) { return [copy] }
        let before = try predecessor(of: found, nil)
        if isRewritten { warnRewritten(found.shown) }
        let file = makeNew(found)
        let cursor = try file.makeCursor(found, context)
        if isFirst, options.fromEnd, !isContinued { try cursor.passOver() }
        file.predecessor = before.last
        return before + [enter(file, found, cursor)]
    }

    private func warnRewritten(_ shown: String) {
        warn("\(shown): was rewritten or truncated; it is read from its start, as a new file")
    }

    /// Stdin, pipes, and paths without anything.
    private func admitOther(
        _ found: FoundFile, _ status: FileStatus?
    ) throws(ConnectorError) -> [SourceFile] {
        if byPath[found.path] != nil { return [] }
        if found.path != "-", status == nil, let moved = try predecessor(of: found, nil).first {
            return [moved]
        }
        let known = byShown[found.shown]
        let file = known ?? makeNew(found)
        let cursor = try file.makeCursor(found, context)
        if known != nil { cursor.nameBehind(file.position) }
        return [enter(file, found, cursor)]
    }

    private func makeNew(_ found: FoundFile) -> SourceFile {
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
    private func enter(
        _ file: SourceFile, _ found: FoundFile, _ cursor: FileCursor
    ) -> SourceFile {
        if file.position.identity != cursor.reader.opened.identity {
            byIdentity[file.position.identity] = nil
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
        guard file.isAway || FileStatus(path: file.path)?.identity != status.identity else { return }
        if byPath[file.path] === file { byPath[file.path] = nil }
        file.move(to: found)
        file.isAway = false
        byPath[found.path] = file
        touch(file)
    }

    // MARK: Rotation

    /// What stood at a path before, when it is to be found under another name in that folder.
    private func predecessor(
        of found: FoundFile, _ file: SourceFile?
    ) throws(ConnectorError) -> [SourceFile] {
        guard let known = byShown[found.shown], known !== file, !known.isLive,
            known.position.offset > 0
        else { return [] }
        let folder = folderName(of: found.path)
        let stem = rotationStem(found.shown)
        let prefix = String(found.shown.dropLast(fileName(of: found.shown).count))
        let entries = folderEntries(folder).filter { $0.name != fileName(of: found.path) }
        let inode = known.position.identity.inode
        let others = entries.filter { $0.inode == inode }
            + entries.filter { $0.inode != inode && rotationStem($0.name) == stem }
        for entry in others {
            let there = FoundFile(path: folder + "/" + entry.name, shown: prefix + entry.name)
            guard let status = FileStatus(path: there.path), status.isRegular,
                byIdentity[status.identity].map({ $0 === known }) ?? true,
                let cursor = try known.makeCursor(there, resumedAt: known.position, context)
            else { continue }
            return [enter(known, there, cursor)]
        }
        return []
    }

    /// A file of which another was copied or packed: what was read of that is not read again.
    private func copy(
        at found: FoundFile, _ status: FileStatus
    ) throws(ConnectorError) -> SourceFile? {
        let others = byStem[rotationStem(found.shown)] ?? []
        guard !others.isEmpty, status.size > 0 else { return nil }
        let places = others.filter { isSource($0, of: found) }.map { ($0, $0.place()) }
        for (other, place) in places.sorted(by: { $0.1.offset > $1.1.offset })
        where place.offset > 0 {
            if !other.isLive {
                guard let cursor = try other.makeCursor(found, resumedAt: place, context) else {
                    continue
                }
                return enter(other, found, cursor)
            }
            let file = makeNew(found)
            guard let cursor = try file.makeCursor(found, resumedAt: place, context) else {
                undoNew(file)
                continue
            }
            return enter(file, found, cursor)
        }
        return nil
    }

    /// A file that begins like another of which more was read, and is being written.
    private func isUnfinishedCopy(_ found: FoundFile, _ status: FileStatus) -> Bool {
        guard status.quiet < 10_000_000_000 else { return false }
        let others = byStem[rotationStem(found.shown)] ?? []
        for other in others where isSource(other, of: found) {
            let place = other.place()
            guard place.offset > 0 else { continue }
            do throws(ConnectorError) {
                let cursor = try other.makeCursor(found, context)
                if try cursor.isStart(of: place) { return true }
            } catch {
                return true
            }
        }
        return false
    }

    private func undoNew(_ file: SourceFile) {
        generations[file.base] = file.generation > 1 ? file.generation - 1 : nil
        byStem[rotationStem(file.base)]?.removeAll { $0 === file }
    }

    /// Files may begin alike; one is a copy of another by its name, or where the other is gone.
    private func isSource(_ other: SourceFile, of found: FoundFile) -> Bool {
        let name = fileName(of: found.shown)
        let otherName = fileName(of: other.shown)
        if other.isAway || (name != otherName && name.hasPrefix(otherName)) { return true }
        guard !other.isLive else { return false }
        guard let there = FileStatus(path: other.path) else { return true }
        return there.identity != other.position.identity || there.size < other.position.offset
    }

    /// The path of a live file leads to another one now, or to none.
    func leave(_ file: SourceFile) {
        if byPath[file.path] === file { byPath[file.path] = nil }
        file.isAway = true
    }

    /// A live file holds no longer what was read of it: it counts as a new one.
    func replace(_ file: SourceFile) throws(ConnectorError) -> SourceFile {
        let found = FoundFile(path: file.path, shown: file.shown)
        warnRewritten(file.shown)
        drop(file)
        let new = makeNew(found)
        return enter(new, found, try new.makeCursor(found, context))
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
        if file.cursor == nil {
            let found = FoundFile(path: file.path, shown: file.shown)
            guard let cursor = try file.makeCursor(found, resumedAt: file.place(), context) else {
                return nil
            }
            file.cursor = cursor
        }
        use(file)
        return file.cursor
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
