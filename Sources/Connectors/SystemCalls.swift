internal import Connecting
internal import Glibc

/// The system's words for an error number, in lower case like the rest of our messages.
func systemText(_ code: Int32) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    let words = unsafe String(cString: text)
    return words.prefix(1).lowercased() + words.dropFirst()
}

/// A relative path starts at `folder`.
func resolve(_ path: String, in folder: String) -> String {
    path.hasPrefix("/") || folder.isEmpty ? path : folder + "/" + path
}

/// What kind of thing is at a path, or nil when there is nothing.
func fileType(_ path: String) -> mode_t? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
}

/// Opens for reading; a directory is refused, since reading one fails in a less telling way.
func openForReading(_ path: String, shown: String) throws(ConnectorError) -> Int32 {
    if fileType(path) == S_IFDIR {
        throw ConnectorError("\(shown): is a directory, not a file; check source.file.path")
    }
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 {
        throw ConnectorError("\(shown): \(systemText(errno)); check source.file.path")
    }
    return descriptor
}

/// Writes everything, however often the system takes only a part.
func writeAll(
    _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, shown: String
) throws(ConnectorError) {
    var rest = unsafe bytes[...]
    while unsafe !rest.isEmpty {
        let slice = unsafe UnsafeRawBufferPointer(rebasing: rest)
        let count = unsafe Glibc.write(descriptor, slice.baseAddress, slice.count)
        if count < 0 {
            if errno == EINTR { continue }
            if errno == EAGAIN {
                _ = waitWritable(descriptor, unless: -1)
                continue
            }
            throw ConnectorError("\(shown): \(systemText(errno))")
        }
        unsafe rest = rest.dropFirst(count)
    }
}

/// Ends a wait of another thread, once and for all.
final class Wake: Sendable {
    /// Becomes readable by `send`; -1 when the system has no more descriptors.
    let descriptor: Int32
    private let sending: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        _ = unsafe pipe(&ends)
        for end in ends where end >= 0 {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (descriptor, sending) = (ends[0], ends[1])
    }

    deinit { for end in [descriptor, sending] where end >= 0 { close(end) } }

    /// May be called from any thread, and more than once.
    func send() {
        var byte: UInt8 = 0
        _ = unsafe write(sending, &byte, 1)
    }
}

/// Waits until something can be written, or fail; false when `wake` became readable before that.
func waitWritable(_ descriptor: Int32, unless wake: Int32) -> Bool {
    var requests = [
        pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0),
        pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
    ]
    while unsafe poll(&requests, 2, -1) < 0, errno == EINTR {}
    return requests[0].revents != 0 || requests[1].revents == 0
}

/// Waits until there is something to read; false when the time is over or a signal came.
func waitReadable(_ descriptor: Int32, milliseconds: Int) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&request, 1, Int32(milliseconds)) > 0
}
