internal import Glibc

/// A call to the system that failed: what was tried, where, and the system's reason.
public struct DiskError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was tried, as in "cannot write".
    public var action: String
    /// The path it was tried on.
    public var path: String
    /// The system's error number.
    public var code: Int32

    /// Notes a failure.
    public init(_ action: String, _ path: String, code: Int32) {
        self.action = action
        self.path = path
        self.code = code
    }

    /// The system's reason in words, in lower case.
    public var reason: String {
        switch code {
        case ENOSPC: return "no space left on device"
        case EFBIG: return "file too large"
        default:
            guard let text = unsafe strerror(code) else { return "error \(code)" }
            let words = unsafe String(cString: text)
            return words.prefix(1).lowercased() + words.dropFirst()
        }
    }

    /// What the reader can do about it.
    public var advice: String {
        switch code {
        case ENOSPC, EDQUOT: "free some space and start again"
        case EFBIG: "raise the limit on file sizes (ulimit -f) and start again"
        case EACCES, EPERM: "check the owner and the permissions"
        case EROFS: "mount the disk for writing"
        case EIO: "check the disk before starting again"
        case ENOENT: "check the path"
        default: "see the system's log"
        }
    }

    /// `cannot write data/journal/00000001.seg: no space left on device; free some space …`.
    public var description: String { "cannot \(action) \(path): \(reason); \(advice)" }

    /// True when there is no such file or directory.
    public var isMissing: Bool { code == ENOENT }
}

extension DiskError {
    /// True when a second name is not possible there, so that only a copy is.
    var cannotLink: Bool { code == EXDEV || code == EPERM || code == EMLINK || code == EOPNOTSUPP }

    /// True when a smaller file would have fitted.
    var isOutOfRoom: Bool { code == ENOSPC || code == EFBIG || code == EDQUOT }
}
