internal import Glibc

/// A socket of the file tree. Paths that are too long for one are reached through the folder's
/// descriptor, which has a short name.
@safe
struct UnixSocket: ~Copyable {
    let descriptor: Int32
    private let folder: Int32
    private var address: sockaddr_un

    /// Makes a socket for `name` in `folder`; nil when the system gives none.
    init?(_ name: String, in directory: String) {
        let folder = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return nil }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("/proc/self/fd/\(folder)/\(name)".utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard descriptor >= 0, path.count < capacity else {
            close(folder)
            if descriptor >= 0 { close(descriptor) }
            return nil
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            for (index, byte) in path.enumerated() { unsafe target[index] = byte }
        }
        self.descriptor = descriptor
        self.folder = folder
        self.address = address
    }

    deinit { close(folder) }

    private func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// The user at the other end, as the system says.
    static func user(of descriptor: Int32) -> UInt32? {
        // `struct ucred`: process, user and group.
        var credentials: [UInt32] = [0, 0, 0]
        var size = socklen_t(12)
        let status = unsafe getsockopt(
            descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size)
        return status == 0 && size == 12 ? credentials[1] : nil
    }

    /// What came of an attempt to connect.
    enum Connection: Hashable {
        case made
        /// Nobody listens.
        case nobody
        /// Somebody does, and takes no more connections for now.
        case busy
        /// The system does not allow it, for this reason.
        case refused(Int32)
    }

    /// Connects; whoever listens is given some seconds to take it.
    func connect() -> Connection {
        var time = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        while unsafe withAddress({ unsafe Glibc.connect(descriptor, $0, $1) }) != 0 {
            switch errno {
            case EINTR: continue
            case ECONNREFUSED, ENOENT, ENOTDIR: return .nobody
            case EAGAIN: return .busy
            default: return .refused(errno)
            }
        }
        time.tv_sec = 0
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return .made
    }

    /// True when others can connect from now on; only this user's.
    func listens() -> Bool {
        let old = umask(0o177)
        defer { umask(old) }
        return unsafe withAddress { unsafe bind(descriptor, $0, $1) } == 0
            && listen(descriptor, 256) == 0
    }
}
