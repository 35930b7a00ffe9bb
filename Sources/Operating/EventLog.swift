package import Records
internal import Threads

/// How much a line of the log matters.
package enum LogLevel: String, Sendable, CaseIterable, Comparable {
    case debug
    case info
    case warning
    case error

    /// True when the first one matters less.
    package static func < (left: LogLevel, right: LogLevel) -> Bool {
        left.rank < right.rank
    }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// What an operator is to hear of a run, line by line with time and level, and on a terminal a line
/// below that shows how far it is. Any thread.
package final class EventLog: Sendable {
    /// How lines are written.
    package enum Format: String, Sendable, CaseIterable {
        /// For people.
        case text
        /// For programs: one object per line.
        case json
    }

    /// How lines are written.
    package let format: Format
    private let least: LogLevel
    private let clock: @Sendable () -> String
    private let output: @Sendable (String) -> Void
    /// What the line at the bottom of the terminal shows; lines go above it.
    private let bottom = Locked("")

    private static let wipe = "\r\u{1B}[K"

    /// Creates one that leaves out what matters less than `least`.
    package init(
        _ format: Format = .text, least: LogLevel = .info,
        clock: @escaping @Sendable () -> String = { timestamp() },
        output: @escaping @Sendable (String) -> Void = { writeError($0) }
    ) {
        self.format = format
        self.least = least
        self.clock = clock
        self.output = output
    }

    /// Writes what has happened: a word for programs, and a text for people.
    package func write(
        _ level: LogLevel, _ event: String? = nil, _ text: String, _ fields: [Field] = []
    ) {
        guard level >= least, !text.isEmpty else { return }
        let line: String
        switch format {
        case .text:
            // What has several lines, such as a finding with its source, stays together.
            line = "\(clock()) \(Self.padded(level.rawValue)) \(text)\n"
        case .json:
            var all = [Field("time", .string(clock())), Field("level", .string(level.rawValue))]
            if let event { all.append(Field("event", .string(event))) }
            all.append(Field("message", .string(text)))
            line = String(decoding: Record(all + fields).json, as: UTF8.self) + "\n"
        }
        bottom.withLock { bottom in
            output(bottom.isEmpty ? line : Self.wipe + line + bottom)
        }
    }

    /// Takes what some part of a run tells: whole lines with their line breaks, which say by their
    /// first word when they are more than a notice.
    package func take(_ told: String) {
        var text = told
        while text.last?.isNewline == true { text.removeLast() }
        for (word, level) in [("warning: ", LogLevel.warning), ("error: ", .error)] {
            guard text.hasPrefix(word) else { continue }
            return write(level, nil, String(text.dropFirst(word.count)))
        }
        write(.info, nil, text)
    }

    /// Shows a line below all others on the terminal, in place of the one before; an empty one
    /// takes it away.
    package func show(_ text: String) {
        bottom.withLock { bottom in
            guard text != bottom else { return }
            bottom = text
            output(Self.wipe + text)
        }
    }

    /// Forgets the line below without touching the terminal, which somebody else uses.
    package func hide() { bottom.withLock { $0 = "" } }

    private static func padded(_ name: String) -> String {
        name + String(repeating: " ", count: max(0, 7 - name.count))
    }
}
