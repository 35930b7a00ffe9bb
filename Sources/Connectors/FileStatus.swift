internal import Glibc

/// Which file it is, whatever its name.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64 = 0
    var inode: UInt64 = 0
}

/// What tells one state of a file from another without reading it.
struct FileStatus: Hashable, Sendable {
    var identity = FileIdentity()
    var size: UInt64 = 0
    /// When the bytes, and when anything was last changed, in nanoseconds since 1970.
    var modified: Int64 = 0
    var changed: Int64 = 0
    var mode: UInt32 = 0
    var links: UInt64 = 0

    init() {}

    /// What is at a path; nil when there is nothing.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// What a descriptor is open for.
    init?(descriptor: Int32) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        size = UInt64(max(status.st_size, 0))
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        mode = UInt32(status.st_mode)
        links = UInt64(status.st_nlink)
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    var isRegular: Bool { mode_t(mode) & S_IFMT == S_IFREG }
    var isFolder: Bool { mode_t(mode) & S_IFMT == S_IFDIR }

    /// For how long nobody has written, in nanoseconds.
    var quiet: Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Self.nanoseconds(now) - modified
    }
}
