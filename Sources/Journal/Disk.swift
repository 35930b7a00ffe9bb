/// How a file is opened.
public enum FileAccess: Sendable {
    /// It must be there; only reading.
    case read
    /// It must be there; reading and writing.
    case update
    /// It is made, or emptied when it is there; reading and writing.
    case create
}

/// An open file. Offsets and sizes are bytes. Safe on any thread, though two writers of the same
/// bytes must agree between themselves. It closes when the last reference goes.
public protocol File: AnyObject, Sendable {
    /// The size in bytes.
    func size() throws(DiskError) -> Int
    /// How many names the file has; more than one means that a backup shares its bytes.
    func linkCount() throws(DiskError) -> Int
    /// Fills `buffer` from `offset` on; returns how much there was, less only at the end.
    func read(into buffer: inout MutableRawSpan, at offset: Int) throws(DiskError) -> Int
    /// Writes some of `bytes`, at least one; returns how many.
    func write(_ bytes: RawSpan, at offset: Int) throws(DiskError) -> Int
    /// Waits until the bytes and the size are on stable storage. An error is final: the system may
    /// have thrown the bytes away, and a second call that succeeds would mean nothing.
    func sync() throws(DiskError)
    /// Cuts the file, or lengthens it with zeros.
    func truncate(to size: Int) throws(DiskError)
}

/// Where a store lies: the system's file tree, or a faulty one in memory for tests. Any thread.
public protocol Disk: Sendable {
    /// Its kind of open file.
    associatedtype Handle: File
    /// Opens a file.
    func open(_ path: String, _ access: FileAccess) throws(DiskError) -> Handle
    /// Opens a file, making it if needed, and becomes its only owner until the handle goes; nil
    /// when another one owns it.
    func lock(_ path: String) throws(DiskError) -> Handle?
    /// True while the name still leads to the file that was locked, so that nobody else can lock
    /// another one of that name.
    func isLocked(_ path: String, by handle: Handle) throws(DiskError) -> Bool
    /// The names in a directory, sorted; empty when there is no such directory.
    func names(in directory: String) throws(DiskError) -> [String]
    /// Makes a directory if it is not there; its parent must be.
    func makeDirectory(_ path: String) throws(DiskError)
    /// Waits until the names in a directory are on stable storage.
    func syncDirectory(_ path: String) throws(DiskError)
    /// Gives a file another name in one step, replacing what has it.
    func rename(_ path: String, to other: String) throws(DiskError)
    /// Gives a file a second name.
    func link(_ path: String, to other: String) throws(DiskError)
    /// Takes a name away.
    func remove(_ path: String) throws(DiskError)
    /// True when there is something of that name.
    func exists(_ path: String) throws(DiskError) -> Bool
    /// Microseconds since 1970, in UTC.
    func now() -> Int64
}

extension File {
    /// Writes everything, however often the system takes only a part.
    func writeAll(_ bytes: RawSpan, at offset: Int) throws(DiskError) {
        var done = 0
        while done < bytes.byteCount {
            done += try write(bytes.extracting(done..<bytes.byteCount), at: offset + done)
        }
    }

    /// Up to `count` bytes from `offset` on; fewer at the end of the file.
    func bytes(at offset: Int, count: Int) throws(DiskError) -> [UInt8] {
        var failure: DiskError?
        // Not zeroed first: a segment's size of zeros would take as long as the reading.
        let result = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            var target = unsafe UnsafeMutableRawBufferPointer(buffer).mutableBytes
            do throws(DiskError) {
                done = try read(into: &target, at: offset)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return result
    }

    /// Fills an array from `offset` on; returns how much there was.
    func fill(_ buffer: inout [UInt8], at offset: Int) throws(DiskError) -> Int {
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        return try read(into: &raw, at: offset)
    }
}

extension Disk {
    /// Nobody takes names away from a disk in memory.
    public func isLocked(_ path: String, by handle: Handle) throws(DiskError) -> Bool { true }

    /// All bytes of a file.
    func contents(_ path: String) throws(DiskError) -> [UInt8] {
        let file = try open(path, .read)
        return try file.bytes(at: 0, count: file.size())
    }

    /// All bytes of a file into an array that was used before: fresh memory has its price.
    func read(_ path: String, into buffer: inout [UInt8]) throws(DiskError) {
        let file = try open(path, .read)
        let size = try file.size()
        if buffer.count > size { buffer.removeLast(buffer.count - size) }
        if buffer.count < size { buffer = [UInt8](repeating: 0, count: size) }
        let count = try file.fill(&buffer, at: 0)
        if count < size { buffer.removeLast(size - count) }
    }

    /// Takes a file away, and frees its room bit by bit: a file system that frees much at once
    /// holds up everybody who syncs meanwhile.
    func removeInSteps(_ path: String, in directory: String) throws(DiskError) {
        let step = 4 << 20
        let file = try open(path, .update)
        try remove(path)
        // The bytes of a file that still has a name are somebody else's.
        guard try file.linkCount() == 0 else { return }
        var size = try file.size()
        // A name that came back after a power cut must not lead to a part.
        if size > step { try syncDirectory(directory) }
        while size > step {
            size -= step
            try file.truncate(to: size)
        }
    }

    /// Writes a file so that it is there wholly or not at all, whatever happens.
    func writeAtomically(
        _ bytes: [UInt8], to name: String, in directory: String
    ) throws(DiskError) {
        let temporary = "\(directory)/\(name).tmp"
        let file = try open(temporary, .create)
        try unsafe file.writeAll(bytes.span.bytes, at: 0)
        try file.sync()
        try rename(temporary, to: "\(directory)/\(name)")
        try syncDirectory(directory)
    }
}
