internal import Glibc

/// The system's own file tree.
public struct SystemDisk: Disk {
    /// Creates it; all of them are the same.
    public init() {}

    /// Opens a file.
    public func open(_ path: String, _ access: FileAccess) throws(DiskError) -> SystemFile {
        let flags =
            switch access {
            case .read: O_RDONLY
            case .update: O_RDWR
            case .create: O_RDWR | O_CREAT | O_TRUNC
            }
        return SystemFile(try descriptor(path, flags), path)
    }

    /// Locks with `flock`, which ends with the process, however it ends. The directory is locked,
    /// too: the file may be removed by somebody, and another one would have another lock.
    public func lock(_ path: String) throws(DiskError) -> SystemFile? {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { String(path[..<$0]) } ?? "."
        let outer = SystemFile(
            try descriptor(directory.isEmpty ? "/" : directory, O_RDONLY | O_DIRECTORY), directory,
            isLock: true)
        guard try Self.takes(outer, LOCK_EX, directory) else { return nil }
        let file = SystemFile(
            try descriptor(path, O_RDWR | O_CREAT), path, isLock: true, with: outer)
        return try Self.takes(file, LOCK_EX, path) ? file : nil
    }

    /// True when nobody else has a lock in the way.
    static func takes(
        _ file: SystemFile, _ kind: Int32, _ path: String
    ) throws(DiskError) -> Bool {
        while flock(file.descriptor, kind | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return false }
            if errno != EINTR { throw DiskError("lock", path, code: errno) }
        }
        return true
    }

    /// True while the name leads to the file that was locked.
    public func isLocked(_ path: String, by handle: SystemFile) throws(DiskError) -> Bool {
        var (held, named) = (stat(), stat())
        guard unsafe fstat(handle.descriptor, &held) == 0, unsafe stat(path, &named) == 0 else {
            return false
        }
        return held.st_ino == named.st_ino && held.st_dev == named.st_dev
    }

    /// The names in a directory, sorted.
    public func names(in directory: String) throws(DiskError) -> [String] {
        guard let stream = unsafe opendir(directory) else {
            if errno == ENOENT { return [] }
            throw DiskError("list", directory, code: errno)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes a directory if it is not there.
    public func makeDirectory(_ path: String) throws(DiskError) {
        if unsafe mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw DiskError("make", path, code: errno)
        }
    }

    /// Waits until the names in a directory are on stable storage.
    public func syncDirectory(_ path: String) throws(DiskError) {
        let place = path.isEmpty ? "." : path
        let file = SystemFile(try descriptor(place, O_RDONLY | O_DIRECTORY), place)
        if fsync(file.descriptor) != 0 { throw DiskError("sync", path, code: errno) }
    }

    /// Gives a file another name in one step.
    public func rename(_ path: String, to other: String) throws(DiskError) {
        if unsafe Glibc.rename(path, other) != 0 { throw DiskError("rename", path, code: errno) }
    }

    /// Gives a file a second name.
    public func link(_ path: String, to other: String) throws(DiskError) {
        if unsafe Glibc.link(path, other) != 0 { throw DiskError("link", path, code: errno) }
    }

    /// Takes a name away.
    public func remove(_ path: String) throws(DiskError) {
        if unsafe unlink(path) != 0 { throw DiskError("remove", path, code: errno) }
    }

    /// True when there is something of that name.
    public func exists(_ path: String) throws(DiskError) -> Bool {
        var status = stat()
        if unsafe stat(path, &status) == 0 { return true }
        if errno == ENOENT || errno == ENOTDIR { return false }
        throw DiskError("look at", path, code: errno)
    }

    /// Keeps a store that was made with other permissions to its owner: what is in it are records.
    public func protect(store directory: String) { protect(directory, depth: 0) }

    private func protect(_ path: String, depth: Int) {
        var status = stat()
        // Links lead out of the store, and are left alone.
        let isKnown =
            depth == 0 ? unsafe stat(path, &status) == 0 : unsafe lstat(path, &status) == 0
        guard isKnown, status.st_uid == geteuid() else { return }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            if status.st_mode & 0o077 != 0 { unsafe chmod(path, 0o700) }
            guard depth < 3 else { return }
            for name in (try? names(in: path)) ?? [] {
                protect(path + "/" + name, depth: depth + 1)
            }
        case S_IFREG: if status.st_mode & 0o077 != 0 { unsafe chmod(path, 0o600) }
        default: break
        }
    }

    /// Microseconds since 1970, in UTC.
    public func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    private func descriptor(_ path: String, _ flags: Int32) throws(DiskError) -> Int32 {
        while true {
            let descriptor = unsafe Glibc.open(path, flags | O_CLOEXEC, 0o600)
            if descriptor >= 0 { return descriptor }
            if errno != EINTR { throw DiskError("open", path, code: errno) }
        }
    }
}

/// An open file of the system, closed when the last reference goes.
public final class SystemFile: File {
    let descriptor: Int32
    private let path: String

    private let isLock: Bool
    /// Stays open as long as this one.
    private let companion: SystemFile?

    init(
        _ descriptor: Int32, _ path: String, isLock: Bool = false,
        with companion: SystemFile? = nil
    ) {
        self.descriptor = descriptor
        self.path = path
        self.isLock = isLock
        self.companion = companion
    }

    deinit {
        // A child of this process has the file open, too, until it runs its own program.
        if isLock { flock(descriptor, LOCK_UN) }
        close(descriptor)
    }

    private func status() throws(DiskError) -> stat {
        var status = stat()
        if unsafe fstat(descriptor, &status) != 0 {
            throw DiskError("look at", path, code: errno)
        }
        return status
    }

    /// The size in bytes.
    public func size() throws(DiskError) -> Int { Int(try status().st_size) }

    /// How many names the file has.
    public func linkCount() throws(DiskError) -> Int { Int(try status().st_nlink) }

    /// Reads with `pread` until the buffer is full or the file ends.
    public func read(into buffer: inout MutableRawSpan, at offset: Int) throws(DiskError) -> Int {
        let (done, code) = unsafe buffer.withUnsafeMutableBytes { target -> (Int, Int32) in
            var done = 0
            while done < target.count {
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: target[done...])
                let count = unsafe pread(descriptor, rest.baseAddress, rest.count, offset + done)
                if count == 0 { break }
                if count < 0 && errno == EINTR { continue }
                if count < 0 { return (done, errno) }
                done += count
            }
            return (done, 0)
        }
        if code != 0 { throw DiskError("read", path, code: code) }
        return done
    }

    /// Writes with `pwrite`.
    public func write(_ bytes: RawSpan, at offset: Int) throws(DiskError) -> Int {
        while true {
            let count = unsafe bytes.withUnsafeBytes { source in
                unsafe pwrite(descriptor, source.baseAddress, source.count, offset)
            }
            if count > 0 || bytes.isEmpty { return count }
            if count == 0 { throw DiskError("write", path, code: ENOSPC) }
            if errno != EINTR { throw DiskError("write", path, code: errno) }
        }
    }

    /// Syncs with `fdatasync`, which includes the size.
    public func sync() throws(DiskError) {
        // Even EINTR is not tried again: what was written may be marked clean by then.
        if fdatasync(descriptor) != 0 { throw DiskError("sync", path, code: errno) }
    }

    /// Cuts or lengthens with `ftruncate`.
    public func truncate(to size: Int) throws(DiskError) {
        while ftruncate(descriptor, off_t(size)) != 0 {
            if errno != EINTR { throw DiskError("cut", path, code: errno) }
        }
    }
}
