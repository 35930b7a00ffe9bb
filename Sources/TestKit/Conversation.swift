internal import Glibc

/// Feeds a child process and listens to it until it has ended.
struct Conversation {
    /// How long to wait at most before looking again whether the child still lives.
    private static let tickMilliseconds: Int32 = 10

    private let channels: ChildChannels
    private var input: ArraySlice<UInt8>
    private var isOutputOpen = true
    private var areErrorsOpen = true
    private var finished = RunProcess.Finished()

    init(channels: ChildChannels, input: [UInt8]) {
        self.channels = channels
        self.input = input[...]
    }

    mutating func run(with child: pid_t, timeoutMilliseconds: Int) -> RunProcess.Finished {
        let deadline = ContinuousClock.now + .milliseconds(timeoutMilliseconds)
        while !hasEnded(child) {
            if !finished.isTimedOut, ContinuousClock.now >= deadline {
                finished.isTimedOut = true
                kill(child, SIGKILL)
            }
            wait()
            exchange()
        }
        exchange()
        return finished
    }

    /// Notes how the child ended, once it has.
    private mutating func hasEnded(_ child: pid_t) -> Bool {
        var status: Int32 = 0
        let waited = unsafe waitpid(child, &status, WNOHANG)
        guard waited == child else { return waited < 0 && errno != EINTR }
        let signal = status & 0x7F
        if signal == 0 { finished.status = status >> 8 & 0xFF } else { finished.signal = signal }
        return true
    }

    private func wait() {
        var files: [pollfd] = []
        if channels.input >= 0 {
            files.append(pollfd(fd: channels.input, events: Int16(POLLOUT), revents: 0))
        }
        if isOutputOpen {
            files.append(pollfd(fd: channels.output, events: Int16(POLLIN), revents: 0))
        }
        if areErrorsOpen {
            files.append(pollfd(fd: channels.errors, events: Int16(POLLIN), revents: 0))
        }
        let count = nfds_t(files.count)
        // With every pipe closed only the end is awaited, which poll does not see.
        unsafe poll(&files, count, files.isEmpty ? 1 : Self.tickMilliseconds)
    }

    private mutating func exchange() {
        writeInput()
        if isOutputOpen { isOutputOpen = Self.drain(channels.output, into: &finished.output) }
        if areErrorsOpen { areErrorsOpen = Self.drain(channels.errors, into: &finished.errors) }
    }

    private mutating func writeInput() {
        while channels.input >= 0 {
            guard !input.isEmpty else { return channels.closeInput() }
            let count = unsafe input.withUnsafeBytes {
                unsafe write(channels.input, $0.baseAddress, $0.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                // Full for now, or closed by a child that wants no more.
                return errno == EAGAIN ? () : channels.closeInput()
            }
            input = input.dropFirst(count)
        }
    }

    /// Reads what there is; false at the end of the file.
    private static func drain(_ file: Int32, into bytes: inout [UInt8]) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe read(file, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count < 0 && errno == EAGAIN }
            bytes += buffer[..<count]
        }
    }
}
