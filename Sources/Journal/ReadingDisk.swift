internal import Glibc
internal import Synchronization

/// The system's file tree for whoever only looks: no file, name or lock of it is ever changed. What
/// the opening of a store would write stays in memory and goes with the disk. Any thread.
public final class ReadingDisk: Disk {
    private struct Changes {
        var files: [String: ReadingFile] = [:]
        var gone: Set<String> = []
    }

    private let base = SystemDisk()
    private let changes = Mutex(Changes())

    /// Creates one that has changed nothing.
    public init() {}

    /// Opens a file; for writing it is copied into memory first.
    public func open(_ path: String, _ access: FileAccess) throws(DiskError) -> ReadingFile {
        let (known, isGone) = changes.withLock { ($0.files[path], $0.gone.contains(path)) }
        if let known {
            if case .create = access { try known.truncate(to: 0) }
            return known
        }
        let file: ReadingFile
        switch access {
        case .create: file = ReadingFile([])
        case .read, .update:
            if isGone { throw DiskError("open", path, code: ENOENT) }
            let original = try base.open(path, .read)
            if case .read = access { return ReadingFile(original) }
            file = ReadingFile(try original.bytes(at: 0, count: try original.size()))
        }
        put(file, path)
        return file
    }

    /// Sees to it that nobody writes meanwhile; others may read as well.
    public func lock(_ path: String) throws(DiskError) -> ReadingFile? {
        guard try base.exists(path) else { return ReadingFile([]) }
        let file = try base.open(path, .read)
        return try SystemDisk.takes(file, LOCK_SH, path) ? ReadingFile(file) : nil
    }

    /// The names in a directory, sorted.
    public func names(in directory: String) throws(DiskError) -> [String] {
        var names = Set(try base.names(in: directory))
        let prefix = directory + "/"
        func name(_ path: String) -> String? {
            guard path.hasPrefix(prefix) else { return nil }
            let rest = String(path.dropFirst(prefix.count))
            return rest.contains("/") ? nil : rest
        }
        let (made, gone) = changes.withLock { (Array($0.files.keys), $0.gone) }
        names.subtract(gone.compactMap(name))
        names.formUnion(made.compactMap(name))
        return names.sorted()
    }

    /// Does nothing: files in memory need no directory.
    public func makeDirectory(_ path: String) throws(DiskError) {}

    /// Does nothing.
    public func syncDirectory(_ path: String) throws(DiskError) {}

    /// Gives a file another name, in memory.
    public func rename(_ path: String, to other: String) throws(DiskError) {
        put(try open(path, .update), other)
        try remove(path)
    }

    /// Gives a file a second name, in memory.
    public func link(_ path: String, to other: String) throws(DiskError) {
        put(try open(path, .update), other)
    }

    /// Takes a name away, in memory.
    public func remove(_ path: String) throws(DiskError) {
        changes.withLock {
            $0.files[path] = nil
            $0.gone.insert(path)
        }
    }

    /// True when there is something of that name.
    public func exists(_ path: String) throws(DiskError) -> Bool {
        let (isKnown, isGone) = changes.withLock {
            ($0.files[path] != nil, $0.gone.contains(path))
        }
        if isKnown || isGone { return isKnown }
        return try base.exists(path)
    }

    /// Microseconds since 1970, in UTC.
    public func now() -> Int64 { base.now() }

    private func put(_ file: ReadingFile, _ path: String) {
        changes.withLock {
            $0.files[path] = file
            $0.gone.remove(path)
        }
    }
}

/// A file of the system that is only read, or one in memory.
public final class ReadingFile: File {
    private let original: SystemFile?
    private let contents: Mutex<[UInt8]>

    init(_ original: SystemFile) {
        self.original = original
        contents = Mutex([])
    }

    init(_ bytes: [UInt8]) {
        original = nil
        contents = Mutex(bytes)
    }

    /// The size in bytes.
    public func size() throws(DiskError) -> Int {
        if let original { return try original.size() }
        return contents.withLock { $0.count }
    }

    /// How many names the file has.
    public func linkCount() throws(DiskError) -> Int { 1 }

    /// Fills the buffer from `offset` on.
    public func read(into buffer: inout MutableRawSpan, at offset: Int) throws(DiskError) -> Int {
        if let original { return try original.read(into: &buffer, at: offset) }
        let bytes = contents.withLock { bytes in
            let start = min(offset, bytes.count)
            return Array(bytes[start..<min(bytes.count, start + buffer.byteCount)])
        }
        for (index, byte) in bytes.enumerated() {
            buffer.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        return bytes.count
    }

    /// Keeps bytes in memory.
    public func write(_ bytes: RawSpan, at offset: Int) throws(DiskError) -> Int {
        guard original == nil else { throw DiskError("write", "a file", code: EROFS) }
        let given = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        contents.withLock { contents in
            let end = offset + given.count
            if contents.count < end {
                contents += [UInt8](repeating: 0, count: end - contents.count)
            }
            contents.replaceSubrange(offset..<end, with: given)
        }
        return given.count
    }

    /// Does nothing.
    public func sync() throws(DiskError) {}

    /// Cuts or lengthens what is in memory.
    public func truncate(to size: Int) throws(DiskError) {
        guard original == nil else { throw DiskError("cut", "a file", code: EROFS) }
        contents.withLock { contents in
            if contents.count > size {
                contents.removeLast(contents.count - size)
            } else {
                contents += [UInt8](repeating: 0, count: size - contents.count)
            }
        }
    }
}
