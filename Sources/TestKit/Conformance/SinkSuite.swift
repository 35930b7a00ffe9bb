public import Connecting
internal import Threads

/// Where a sink writes, for one check of a suite.
public struct SinkPlace {
    /// Opens the sink as a run would.
    public var open: (Resumption) throws(ConnectorError) -> any Sink
    /// What the other side has of it by now.
    public var content: () -> String

    /// Creates a place.
    public init(
        open: @escaping (Resumption) throws(ConnectorError) -> any Sink,
        content: @escaping () -> String
    ) {
        self.open = open
        self.content = content
    }
}

/// What every sink has to hold: rows come whole and in order, and where it says how far it is, a
/// later run cuts off what was not committed, whenever the one before was killed.
public struct SinkSuite {
    private let isCutBack: Bool
    private let make: () -> SinkPlace

    /// Describes the sink; each call of `make` gives a place of its own.
    ///
    /// - Parameter isCutBack: it tells positions, and is cut back to them.
    public init(isCutBack: Bool, make: @escaping () -> SinkPlace) {
        self.isCutBack = isCutBack
        self.make = make
    }

    /// Everything that does not hold; empty when all does.
    public func violations() -> [String] {
        do {
            var found = try checkWhole()
            guard isCutBack else { return found }
            found += try checkSyncer()
            for isAbandoned in [false, true] {
                for cut in 0...Self.steps.count { found += try checkKill(cut, isAbandoned) }
                found += try checkKills(isAbandoned)
            }
            return found
        } catch {
            return ["an error: \(error)"]
        }
    }

    // MARK: Steps

    private static let groups: [[String]] = [
        ["{\"n\":1}"], ["{\"n\":2}", "{\"text\":\"\(String(repeating: "é", count: 50_000))\"}"],
        (4...9).map { "{\"n\":\($0)}" },
    ].map { $0.map { $0 + "\n" } }

    private static let rows = groups.flatMap { $0 }

    private enum Step { case write(Int), flush, take, sync, keep, finish }

    /// A run as the engine has it, which begins with a commit.
    private static let steps: [Step] =
        [.take, .keep]
        + groups.indices.flatMap { [.write($0), .flush, .take, .sync, .keep] }
        + [.finish, .take, .keep]

    /// One run over what a commit has kept.
    private final class Run {
        let sink: any Sink
        var committed: [String: [UInt8]]
        var committedRows: Int
        private var taken: [String: [UInt8]] = [:]
        private var written: Int
        private var takenRows = 0
        private(set) var isFinished = false

        init(_ place: SinkPlace, _ committed: [String: [UInt8]], rows: Int) throws {
            var resumption = Resumption()
            resumption.isKept = true
            resumption.positions = committed
            sink = try place.open(resumption)
            self.committed = committed
            committedRows = rows
            written = rows
            takenRows = rows
        }

        func take(_ step: Step) throws {
            switch step {
            case .write(let group):
                let first = SinkSuite.groups[..<group].reduce(0) { $0 + $1.count }
                let end = first + SinkSuite.groups[group].count
                // Rows of earlier runs do not come again.
                guard end > written else { return }
                try sink.write(lines: SinkSuite.rows[max(first, written)..<end])
                written = end
            case .flush: try sink.flush()
            case .take:
                try sink.prepareCommit()
                sink.takePositions { name, position in taken[name] = position }
                takenRows = written
            case .sync: try sink.syncer?()
            case .keep:
                committed.merge(taken) { $1 }
                committedRows = takenRows
            case .finish:
                try sink.finish()
                isFinished = true
            }
        }
    }

    // MARK: Checks

    private func checkWhole() throws -> [String] {
        let place = make()
        let run = try Run(place, [:], rows: 0)
        var found: [String] = []
        for (index, step) in Self.steps.enumerated() {
            try run.take(step)
            guard case .take = step else { continue }
            run.sink.takePositions { name, _ in
                found.append("step \(index): the position \(name) is told again")
            }
        }
        found += difference(place, "a run that ended well")
        if isCutBack == run.committed.isEmpty {
            found.append(isCutBack ? "no position is told" : "a position is told")
        }
        return found
    }

    /// A run that is killed behind some step, and one that goes on.
    private func checkKill(_ cut: Int, _ isAbandoned: Bool) throws -> [String] {
        let place = make()
        let (committed, rows) = try begin(place, cut, isAbandoned, [:], 0)
        let next = try Run(place, committed, rows: rows)
        for step in Self.steps { try next.take(step) }
        return difference(place, "\(isAbandoned ? "abandoned" : "killed") behind step \(cut)")
    }

    /// Runs that are killed one after the other, a step later each.
    private func checkKills(_ isAbandoned: Bool) throws -> [String] {
        let place = make()
        var (committed, rows) = ([String: [UInt8]](), 0)
        for cut in 0...Self.steps.count {
            (committed, rows) = try begin(place, cut, isAbandoned, committed, rows)
        }
        return difference(place, "\(isAbandoned ? "abandoned" : "killed") again and again")
    }

    private func begin(
        _ place: SinkPlace, _ cut: Int, _ isAbandoned: Bool, _ committed: [String: [UInt8]],
        _ rows: Int
    ) throws -> ([String: [UInt8]], Int) {
        let run = try Run(place, committed, rows: rows)
        for step in Self.steps[..<cut] { try run.take(step) }
        if isAbandoned, !run.isFinished { run.sink.abandon() }
        return (run.committed, run.committedRows)
    }

    /// What makes rows last is called from another thread, while rows are written.
    private func checkSyncer() throws -> [String] {
        let place = make()
        let run = try Run(place, [:], rows: 0)
        let failures = Locked<[String]>([])
        for step in Self.steps {
            guard let syncer = run.isFinished ? nil : run.sink.syncer else {
                try run.take(step)
                continue
            }
            let done = Channel<Void>(capacity: 1)
            WorkerThread {
                do throws(ConnectorError) { try syncer() } catch {
                    let text = error.description
                    failures.withLock { $0.append(text) }
                }
                done.close()
            }.detach()
            // The file stays open until the other thread is done with it.
            if case .finish = step { _ = done.receive() }
            try run.take(step)
            _ = done.receive()
        }
        return failures.withLock { $0 } + difference(place, "rows that are synced meanwhile")
    }

    private func difference(_ place: SinkPlace, _ what: String) -> [String] {
        let content = place.content()
        let wanted = Self.rows.joined()
        guard content != wanted else { return [] }
        let lines = content.split(separator: "\n").map { $0.prefix(20) }
        return ["\(what): \(content.utf8.count) bytes, not \(wanted.utf8.count): \(lines)"]
    }
}

extension Sink {
    /// Writes whole lines with one call.
    func write(lines: some Collection<String>) throws(ConnectorError) {
        let bytes = Array(lines.joined().utf8)
        let count = lines.count
        try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
            try unsafe write(bytes, count: count)
        }
    }
}
