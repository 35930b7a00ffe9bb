/// Tells what may happen a thousand times a second: each kind of it at most once a second, with how
/// often it was. Any thread.
package final class NoticeDesk: Sendable {
    private struct Kind: Sendable {
        var told: UInt64 = 0
        /// How many were not told, and what the last of them was.
        var missed = 0
        var text = ""
    }

    private struct State: Sendable {
        var kinds: [String: Kind] = [:]
        var isTimed = false
    }

    private static let second: UInt64 = 1_000_000_000
    /// Kinds are names of queues and sinks, so that there are few of them.
    private static let mostKinds = 1000

    private let state = Locked(State())
    private let clock: @Sendable () -> UInt64
    private let tell: @Sendable (String) -> Void
    private let pause = Channel<Void>(capacity: 1)

    /// Creates one; `clock` gives nanoseconds, `tell` takes whole lines with their line breaks.
    package init(
        clock: @escaping @Sendable () -> UInt64 = { monotonicNanoseconds() },
        tell: @escaping @Sendable (String) -> Void
    ) {
        self.clock = clock
        self.tell = tell
    }

    /// Something has happened, so many times; `text` is about the last of them, without line break.
    package func note(_ kind: String, count: Int = 1, _ text: String) {
        guard count > 0 else { return }
        let now = clock()
        var needsTimer = false
        let line = state.withLock { state -> String? in
            let isKnown = state.kinds[kind] != nil
            let name = isKnown || state.kinds.count < Self.mostKinds ? kind : ""
            var entry = state.kinds[name] ?? Kind()
            defer { state.kinds[name] = entry }
            entry.missed += count
            entry.text = text
            guard entry.told == 0 || now - entry.told >= Self.second else {
                needsTimer = !state.isTimed
                state.isTimed = true
                return nil
            }
            return Self.take(&entry, now)
        }
        if let line { tell(line) }
        if needsTimer { startThread { [self] in tellLater() } }
    }

    /// At the end: what was not told yet is.
    package func finish() {
        pause.close()
        tellMissed(before: .max)
    }

    private static func take(_ kind: inout Kind, _ now: UInt64) -> String {
        let others = kind.missed - 1
        let text = kind.text + (others > 0 ? " (and \(others) more like it)" : "") + "\n"
        kind = Kind(told: max(1, now))
        return text
    }

    /// Those that were told before then, and have something that was not.
    private func tellMissed(before: UInt64) {
        let now = clock()
        let lines = state.withLock { state in
            var lines: [String] = []
            for (name, var kind) in state.kinds where kind.missed > 0 && kind.told <= before {
                lines.append(Self.take(&kind, now))
                state.kinds[name] = kind
            }
            return lines
        }
        for line in lines.sorted() { tell(line) }
    }

    /// The thread that tells what is left when nothing more happens; it ends with that.
    private func tellLater() {
        while !pause.isFinished {
            _ = pause.receive(milliseconds: 250)
            let now = clock()
            tellMissed(before: now > Self.second ? now - Self.second : 0)
            let isDone = state.withLock { state in
                let isDone = !state.kinds.values.contains { $0.missed > 0 }
                if isDone { state.isTimed = false }
                return isDone
            }
            if isDone { return }
        }
    }
}
