internal import Glibc
internal import Synchronization

/// What rules log, as lines on stderr; more than a hundred a second are counted, not written.
final class RuleLog: Sendable {
    private struct State {
        var second: Int = 0
        var written = 0
        var suppressed = 0
    }

    private static let linesPerSecond = 100
    private let state = Mutex(State())

    /// Writes a line, unless there were too many in this second.
    func write(stage: String, _ text: String) {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        let second = time.tv_sec
        let line: String? = state.withLock { state in
            var notice = ""
            if state.second != second {
                if state.suppressed > 0 { notice = "… \(state.suppressed) more lines suppressed\n" }
                state = State(second: second)
            }
            guard state.written < Self.linesPerSecond else {
                state.suppressed += 1
                return nil
            }
            state.written += 1
            return notice + "\(stage): \(text)\n"
        }
        if let line { writeError(line) }
    }
}

/// Writes text to stderr as one piece.
func writeError(_ text: String) {
    let bytes = Array(text.utf8)
    unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(2, $0.baseAddress, $0.count) }
}
