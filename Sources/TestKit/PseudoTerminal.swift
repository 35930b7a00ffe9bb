internal import Glibc

/// A program on a terminal of its own, as a test needs it: what is typed and what is shown.
///
/// Nothing waits longer than a deadline; the program is ended when this goes away.
public final class PseudoTerminal {
    // What Linux calls TIOCSPTLCK, TIOCGPTN and POSIX_SPAWN_SETSID, which Swift does not see.
    private static let unlock: UInt = 0x4004_5431
    private static let number: UInt = 0x8004_5430
    private static let newSession: Int32 = 0x80

    private let master: Int32
    private let process: pid_t
    private var isReaped = false
    /// Everything that was shown so far.
    public private(set) var shown: [UInt8] = []

    /// Starts a program; nil when there is no terminal to be had.
    public init?(_ program: String, _ arguments: [String], environment: [String: String]) {
        master = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var number: Int32 = -1
        var isLocked: Int32 = 0
        guard master >= 0, unsafe ioctl(master, Self.unlock, &isLocked) == 0,
            unsafe ioctl(master, Self.number, &number) == 0
        else { return nil }
        let name = "/dev/pts/\(number)"
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        // The first terminal that the leader of a session opens is the one that signals it.
        for file in Int32(0)...2 {
            unsafe posix_spawn_file_actions_addopen(&actions, file, name, O_RDWR, 0)
        }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | Self.newSession
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        var words = unsafe ([program] + arguments).map { unsafe strdup($0) }
        unsafe words.append(nil)
        var variables = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") }
        unsafe variables.append(nil)
        defer { unsafe (words + variables).forEach { unsafe free($0) } }
        var started: pid_t = 0
        guard unsafe posix_spawn(&started, program, &actions, &attributes, &words, &variables) == 0
        else { return nil }
        process = started
    }

    deinit {
        if !isReaped {
            kill(process, SIGKILL)
            var status: Int32 = 0
            unsafe waitpid(process, &status, 0)
        }
        close(master)
    }

    /// What was shown so far, as text.
    public var text: String { String(decoding: shown, as: UTF8.self) }

    /// Types some keys.
    public func type(_ keys: String) {
        let bytes = Array(keys.utf8)
        unsafe bytes.withUnsafeBytes { _ = unsafe write(master, $0.baseAddress, $0.count) }
    }

    /// Waits until `words` are shown behind what was shown when the last wait ended.
    public func wait(for words: String, milliseconds: Int = 10_000) -> Bool {
        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        let wanted = Array(words.utf8)
        while ContinuousClock.now < deadline {
            if let range = shown[seen...].firstRange(of: wanted) {
                seen = range.upperBound
                return true
            }
            if !read() { break }
        }
        return false
    }

    private var seen = 0

    /// Reads what there is; false at the end.
    private func read() -> Bool {
        var input = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&input, 1, 20) > 0 else { return true }
        var space = [UInt8](repeating: 0, count: 4096)
        let count = unsafe Glibc.read(master, &space, space.count)
        guard count > 0 else { return false }
        shown += space[..<count]
        return true
    }

    /// Waits for the end of the program; its exit code, or nil when it did not end.
    public func waitForEnd(milliseconds: Int = 10_000) -> Int32? {
        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        while ContinuousClock.now < deadline {
            var status: Int32 = 0
            if unsafe waitpid(process, &status, WNOHANG) == process {
                isReaped = true
                return status & 0x7F == 0 ? status >> 8 & 0xFF : nil
            }
            _ = read()
        }
        return nil
    }
}
