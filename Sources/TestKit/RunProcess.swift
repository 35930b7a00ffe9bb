internal import Glibc
internal import Synchronization

/// Runs a program to its end, as a test needs it.
///
/// The child gets three pipes and the default signal handlers. SIGPIPE is ignored in the testing
/// process from the first run on: a child may close its input early.
public enum RunProcess {
    /// Held while pipes are made and handed over, so that no other child inherits them.
    private static let starting = Mutex(())

    /// How a program ended and what it said.
    public struct Finished: Sendable {
        /// The exit status, or nil when a signal ended it.
        public var status: Int32?
        /// The signal that ended it.
        public var signal: Int32?
        /// True when it was killed because its time was over.
        public var isTimedOut = false
        /// What it wrote to stdout.
        public var output: [UInt8] = []
        /// What it wrote to stderr.
        public var errors: [UInt8] = []

        /// What it wrote to stdout, as text.
        public var outputText: String { String(decoding: output, as: UTF8.self) }
        /// What it wrote to stderr, as text.
        public var errorText: String { String(decoding: errors, as: UTF8.self) }
    }

    /// Why a program could not be started.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        /// The program and the system's reason.
        public var description: String

        init(_ what: String, code: Int32) {
            let reason = unsafe strerror(code).map { unsafe String(cString: $0) }
            description = "\(what): \(reason ?? "error \(code)")"
        }
    }

    /// Runs a program (looked up in PATH unless it has a slash) and waits for its end.
    ///
    /// `environment` replaces this process's own when given. With a `folder` the program is
    /// looked up from there, and one that is missing ends with status 127, as in a shell. When
    /// `timeoutMilliseconds` are over, the process is killed by its id; what it started is not.
    public static func run(
        _ program: String, _ arguments: [String] = [], environment: [String: String]? = nil,
        folder: String? = nil, input: [UInt8] = [], timeoutMilliseconds: Int = 60_000
    ) throws(Failure) -> Finished {
        signal(SIGPIPE, SIG_IGN)
        var command = [program] + arguments
        if let folder {
            guard unsafe access(folder, X_OK) == 0 else {
                throw Failure("cannot enter \(folder)", code: errno)
            }
            command = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", folder] + command
        }
        let variables = environment?.map { "\($0.key)=\($0.value)" }.sorted()
        let (channels, child) = try starting.withLock { _ throws(Failure) in
            let channels = try ChildChannels()
            let child = try spawn(command, environment: variables, channels: channels)
            channels.closeChildEnds()
            return (channels, child)
        }
        var conversation = Conversation(channels: channels, input: input)
        return conversation.run(with: child, timeoutMilliseconds: timeoutMilliseconds)
    }

    private static func spawn(
        _ arguments: [String], environment: [String]?, channels: ChildChannels
    ) throws(Failure) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, channels.childInput, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, channels.childOutput, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, channels.childErrors, 2)

        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var pid: pid_t = 0
        let code = unsafe withCStrings(arguments) { argumentPointers in
            guard let environment else {
                return unsafe posix_spawnp(
                    &pid, arguments[0], &actions, &attributes, argumentPointers, environ)
            }
            return unsafe withCStrings(environment) { environmentPointers in
                unsafe posix_spawnp(
                    &pid, arguments[0], &actions, &attributes, argumentPointers,
                    environmentPointers)
            }
        }
        guard code == 0 else { throw Failure("cannot run \(arguments[0])", code: code) }
        return pid
    }

    private static func withCStrings(
        _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32
    ) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe texts.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return EINVAL }
            return unsafe body(base)
        }
    }
}

/// The three pipes of a child; all six ends are closed at the latest when it goes away.
final class ChildChannels {
    private(set) var childInput: Int32 = -1
    private(set) var input: Int32 = -1
    private(set) var output: Int32 = -1
    private(set) var childOutput: Int32 = -1
    private(set) var errors: Int32 = -1
    private(set) var childErrors: Int32 = -1

    init() throws(RunProcess.Failure) {
        (childInput, input) = try Self.makePipe()
        (output, childOutput) = try Self.makePipe()
        (errors, childErrors) = try Self.makePipe()
        for file in [input, output, errors] {
            _ = fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK)
        }
    }

    deinit {
        closeChildEnds()
        closeInput()
        for file in [output, errors] where file >= 0 { close(file) }
    }

    func closeChildEnds() {
        for file in [childInput, childOutput, childErrors] where file >= 0 { close(file) }
        (childInput, childOutput, childErrors) = (-1, -1, -1)
    }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// A pipe that no child keeps, save as its stdin, stdout or stderr.
    private static func makePipe() throws(RunProcess.Failure) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else {
            throw RunProcess.Failure("cannot make a pipe", code: errno)
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }
}
