internal import Glibc

/// What rules log, as lines on stderr; more than a hundred a second are counted, not written.
package final class RuleLog: Sendable {
    private struct State: Sendable {
        var second: Int = 0
        var written = 0
        var suppressed = 0
        /// What the engine has said; there are few such notices.
        var notices: Set<String> = []
    }

    private static let linesPerSecond = 100
    private let state = Locked(State())
    private let clock: @Sendable () -> Int
    private let output: @Sendable (String) -> Void

    /// Creates a log; `clock` gives the seconds since 1970.
    package init(
        clock: @escaping @Sendable () -> Int = { time(nil) },
        output: @escaping @Sendable (String) -> Void = { writeError($0) }
    ) {
        self.clock = clock
        self.output = output
    }

    /// Writes a line, unless there were too many in this second; what the engine itself has to say
    /// about rules comes without a stage, and is said once, whichever threads say it.
    package func write(stage: String, _ text: String) {
        let second = clock()
        let line: String? = state.withLock { state in
            if stage.isEmpty {
                guard state.notices.insert(text).inserted else { return nil }
                return "\(Self.format(second)) \(text)\n"
            }
            var notice = ""
            if state.second != second {
                notice = Self.notice(state.suppressed)
                state = State(second: second, notices: state.notices)
            }
            guard state.written < Self.linesPerSecond else {
                state.suppressed += 1
                return nil
            }
            state.written += 1
            return notice + "\(Self.format(second)) \(stage): \(text)\n"
        }
        if let line { output(line) }
    }

    /// At the end: what was suppressed last is told.
    package func finish() {
        let suppressed = state.withLock { state in
            defer { state.suppressed = 0 }
            return state.suppressed
        }
        if suppressed > 0 { output(Self.notice(suppressed)) }
    }

    private static func notice(_ count: Int) -> String {
        count == 0 ? "" : "… \(count) more lines suppressed\n"
    }

    /// RFC 3339 in UTC.
    private static func format(_ second: Int) -> String {
        var parts = unsafe tm()
        var moment = time_t(second)
        var text = [UInt8](repeating: 0, count: 32)
        unsafe gmtime_r(&moment, &parts)
        let length = unsafe text.withUnsafeMutableBytes { buffer in
            unsafe strftime(buffer.baseAddress, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        }
        return String(decoding: text.prefix(length), as: UTF8.self)
    }
}
