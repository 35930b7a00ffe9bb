internal import Connecting

/// Files that were renamed, copied or packed by a rotation are found again.
extension FileRegister {
    /// What stood at a path before, when it is to be found under another name in that folder.
    func predecessor(of found: FoundFile, _ file: SourceFile?) -> [SourceFile] {
        guard let known = byShown[found.shown], known !== file, !known.isLive,
            known.position.offset > 0
        else { return [] }
        let folder = folderName(of: found.path)
        let stem = rotationStem(found.shown)
        let prefix = String(found.shown.dropLast(fileName(of: found.shown).count))
        let base = String(found.path.dropLast(fileName(of: found.path).count))
        let entries = folderEntries(folder).filter { $0.name != fileName(of: found.path) }
        let inode = known.position.identity.inode
        let others =
            entries.filter { $0.inode == inode }
            + entries.filter { $0.inode != inode && rotationStem($0.name) == stem }
        for entry in others {
            let there = FoundFile(path: base + entry.name, shown: prefix + entry.name)
            // What cannot be read is not the file, and no reason to leave the new one alone.
            guard let status = FileStatus(path: there.path), status.isRegular,
                byIdentity[status.identity]?.isLive != true,
                let cursor = try? known.makeCursor(there, resumedAt: known.position, context)
            else { continue }
            return [enter(known, there, cursor)]
        }
        return []
    }

    /// A file of which another was copied or packed: what was read of that is not read again.
    func copy(
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
            file.original = other
            file.predecessor = other
            return enter(file, found, cursor)
        }
        return nil
    }

    /// A file that begins like another of which more was read, and is being written.
    func isUnfinishedCopy(_ found: FoundFile, _ status: FileStatus) -> Bool {
        let name = fileName(of: found.shown)
        guard status.quiet < 10_000_000_000, name != rotationStem(name) else { return false }
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
        // A rotation gives the plain name to a new file, as long as the old one exists.
        if name == rotationStem(name), exists(other) { return false }
        if TextFormat(name: name).packing != .none, TextFormat(name: otherName).packing == .none {
            return true
        }
        if other.isAway || (name != otherName && name.hasPrefix(otherName)) { return true }
        guard !other.isLive else { return false }
        guard let there = FileStatus(path: other.path) else { return true }
        return there.identity != other.position.identity || there.size < other.position.offset
    }

    func exists(_ file: SourceFile) -> Bool {
        if let cursor = file.cursor {
            return FileStatus(descriptor: cursor.reader.descriptor).map { $0.links > 0 } ?? false
        }
        let identity = file.position.identity
        let folder = folderName(of: file.path)
        return listing(of: folder).contains {
            $0.inode == identity.inode
                && FileStatus(path: folder + "/" + $0.name)?.identity == identity
        }
    }
}
