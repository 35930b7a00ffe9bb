internal import Connecting
internal import Glibc

/// How a file is opened: what is not known to be ours is never changed.
extension SinkFile {
    /// What an earlier run has left at the path.
    private enum Finding {
        /// The file, perhaps with rows that were not committed.
        case ours
        /// Other bytes of the same length that are the same: the folder was copied.
        case copy
        /// The file, cut by somebody.
        case shorter
        /// Another one, without anything in it.
        case empty
        /// Something else.
        case foreign
    }

    /// Opens a file of which nothing is known.
    func open() throws(ConnectorError) {
        let isThere = try prepare()
        if isSpecial { return }
        if rules.overwrites, !rules.appends {
            beginsAnew = length > 0
        } else if length > 0, !rules.appends {
            throw refusal("holds \(length) bytes that no run of this store has written")
        } else if isThere {
            noteMissingBreak()
        }
    }

    /// Opens what is committed up to a position.
    func open(_ known: SinkFilePosition) throws(ConnectorError) {
        let isThere = SinkFileStatus(path) != nil
        let finding = isThere ? nil : try leave(known)
        try prepare()
        if isSpecial { return }
        owed = known.owed
        awaitsCommit = !owed.isEmpty
        guard isThere else {
            return rules.warn("\(shown): \(finding ?? ""); rows go on in a new file\n")
        }
        switch find(known) {
        case .ours: try cutUncommitted(known)
        case .copy: rules.warn("\(shown): is a copy of what was written; it goes on\n")
        case .shorter:
            rules.warn(
                "warning: \(shown): has \(length) bytes, \(known.length) were written; "
                    + "somebody has cut it, and what is gone does not come again\n")
            try cutTornRow()
        case .empty:
            let what = try leave(known)
            rules.warn("\(shown): \(what); rows go on in the new file\n")
        case .foreign where rules.appends: noteMissingBreak()
        case .foreign where rules.overwrites: beginsAnew = true
        case .foreign:
            throw refusal("is not the file as earlier runs have left it")
        }
    }

    /// Opens what a version has left that noted only the length.
    func open(_ known: OlderSinkPosition) throws(ConnectorError) {
        let beside = OlderSinkPosition.partialPath(path)
        if known.isPartial, fileType(beside) == S_IFREG, unsafe rename(beside, path) != 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (rename)")
        }
        let isThere = try prepare()
        if isSpecial { return }
        if !isThere {
            rules.warn("\(shown): is missing; rows go on in a new file\n")
        } else if length >= known.length {
            try rules.cutsUncommitted ? cut(to: known.length) : cutTornRow()
        } else {
            rules.warn(
                "warning: \(shown): has \(length) bytes, \(known.length) were written; "
                    + "somebody has cut it, and what is gone does not come again\n")
            try cutTornRow()
        }
    }

    // MARK: Steps

    /// Opens and locks it without changing anything; false when it was not there.
    @discardableResult
    private func prepare() throws(ConnectorError) -> Bool {
        let before = SinkFileStatus(path)
        if before?.type == S_IFDIR {
            throw ConnectorError("error: \(shown): is a directory; name a file in sinks.file.path")
        }
        try Self.makeFolders(for: path, shown: shown)
        isSpecial = before.map { $0.type != S_IFREG } ?? false
        descriptor = try openDescriptor(O_CREAT)
        guard !isSpecial else { return true }
        try lock(descriptor)
        status = SinkFileStatus(descriptor)
        length = status?.size ?? 0
        return before != nil
    }

    func openDescriptor(_ mode: Int32) throws(ConnectorError) -> Int32 {
        let flags = O_APPEND | O_CLOEXEC | mode
        var descriptor = unsafe Glibc.open(path, O_RDWR | flags, 0o666)
        if descriptor < 0, isSpecial, errno == EACCES || errno == ENXIO || errno == EINVAL {
            // A device or a pipe may be writable only.
            descriptor = unsafe Glibc.open(path, O_WRONLY | flags, 0o666)
        }
        if descriptor < 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)); the sink cannot be opened")
        }
        return descriptor
    }

    /// Keeps other pipelines out for as long as the file is open.
    func lock(_ descriptor: Int32) throws(ConnectorError) {
        // Some file systems of networks know no locks.
        guard flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK else { return }
        throw ConnectorError(
            "error: \(shown): another pipeline writes to it; stop that one, "
                + "or give this sink another path")
    }

    private func find(_ known: SinkFilePosition) -> Finding {
        guard let status else { return .foreign }
        let hasBytes = tailHash(descriptor, before: known.length) == known.hash
        // Numbers of devices change when a machine starts, those of files do not.
        let isSame =
            status.inode == known.inode && (status.device == known.device || hasBytes)
        if length == 0 { return !isSame ? .empty : known.length == 0 ? .ours : .shorter }
        if isSame, length < known.length { return rules.isPacked ? .foreign : .shorter }
        if isSame { return hasBytes ? .ours : .foreign }
        return length == known.length && hasBytes ? .copy : .foreign
    }

    /// The file stands at its path no more: when it has another name in the folder, rows that were
    /// not committed are cut off from it, because they come again. Says what became of it.
    private func leave(_ known: SinkFilePosition) throws(ConnectorError) -> String {
        let folder = String(path.dropLast(path.split(separator: "/").last?.count ?? 0))
        for name in entries(of: folder.isEmpty ? "." : folder) {
            guard let status = SinkFileStatus(folder + name), status.inode == known.inode,
                status.device == known.device, status.type == S_IFREG
            else { continue }
            let old = unsafe Glibc.open(folder + name, O_RDWR | O_CLOEXEC)
            guard old >= 0 else { continue }
            defer { Self.release(old) }
            guard tailHash(old, before: known.length) == known.hash,
                flock(old, LOCK_EX | LOCK_NB) == 0
            else { continue }
            if rules.cutsUncommitted, status.size > known.length,
                ftruncate(old, off_t(known.length)) != 0
            {
                throw ConnectorError(
                    "error: \(folder + name): \(systemText(errno)) (cutting it)")
            }
            return "was renamed to \(name)"
        }
        return "is missing"
    }

    private func cutUncommitted(_ known: SinkFilePosition) throws(ConnectorError) {
        if rules.cutsUncommitted || rules.isPacked { return try cut(to: known.length) }
        // Rows that were not committed stay, but for one that was not finished.
        try cutTornRow()
    }

    func cut(to size: UInt64) throws(ConnectorError) {
        if length != size, ftruncate(descriptor, off_t(size)) != 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (cutting it)")
        }
        length = size
    }

    private func cutTornRow() throws(ConnectorError) {
        guard !rules.isPacked else { return }
        var end = length
        var byte: UInt8 = 0
        while end > 0, unsafe pread(descriptor, &byte, 1, off_t(end - 1)) == 1, byte != 0x0A {
            end -= 1
        }
        try cut(to: end)
    }

    /// Rows that go behind a line without an end begin a line of their own.
    func noteMissingBreak() {
        var byte: UInt8 = 0x0A
        lacksBreak = false
        guard length > 0, !rules.isPacked else { return }
        _ = unsafe pread(descriptor, &byte, 1, off_t(length - 1))
        lacksBreak = byte != 0x0A
    }

    func refusal(_ what: String) -> ConnectorError {
        ConnectorError(
            "error: \(shown): \(what); move it away, run with --overwrite to begin it anew, "
                + "or give the sink `append: true`")
    }

    static func makeFolders(for path: String, shown: String) throws(ConnectorError) {
        var at = path.startIndex
        while let slash = path[at...].firstIndex(of: "/") {
            let folder = String(path[..<slash])
            at = path.index(after: slash)
            if folder.isEmpty || fileType(folder) == S_IFDIR { continue }
            if unsafe mkdir(folder, 0o777) != 0 && errno != EEXIST {
                throw ConnectorError("error: \(shown): \(systemText(errno)) (creating \(folder))")
            }
        }
    }
}

/// The names in a folder in their order, but for those of folders of the system; empty when it
/// cannot be read.
func entries(of folder: String) -> [String] {
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                unsafe String(cString: $0)
            }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}
