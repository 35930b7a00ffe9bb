internal import Glibc

/// What rules log, as lines for the operator; more than a hundred a second are counted, not
/// written.
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
        let lines: [String] = state.withLock { state in
            if stage.isEmpty {
                return state.notices.insert(text).inserted ? ["\(text)\n"] : []
            }
            var lines: [String] = []
            if state.second != second {
                if state.suppressed > 0 { lines.append(Self.notice(state.suppressed)) }
                state = State(second: second, notices: state.notices)
            }
            guard state.written < Self.linesPerSecond else {
                state.suppressed += 1
                return lines
            }
            state.written += 1
            return lines + ["\(stage): \(text)\n"]
        }
        for line in lines { output(line) }
    }

    /// At the end: what was suppressed last is told.
    package func finish() {
        let suppressed = state.withLock { state in
            defer { state.suppressed = 0 }
            return state.suppressed
        }
        if suppressed > 0 { output(Self.notice(suppressed)) }
    }

    private static func notice(_ count: Int) -> String { "… \(count) more lines suppressed\n" }
}
