public import Connecting
internal import Records

/// What every source has to hold: it gives the same records whatever the size of a read, never
/// more than it is allowed, and goes on exactly behind any record at which a run has ended.
public struct SourceSuite {
    private typealias Row = ReadBatch.Row

    private let make: () throws -> any SourceRuns
    private let expected: [String]
    private let limits: [ReadLimit]
    private let burst: Int
    private let keepsOrder: Bool
    private let seed: UInt64
    private let batch = Batch()

    /// Describes the source; each call of `make` gives runs of their own with all records.
    ///
    /// - Parameter expected: the records in order, malformed ones as `<reason>`.
    /// - Parameter burst: so many records may be read beyond the allowed bytes.
    /// - Parameter keepsOrder: what was read and not done comes again before what follows it.
    public init(
        expecting expected: [String], burst: Int = 1, keepsOrder: Bool = true,
        limits: [ReadLimit] = SourceSuite.usualLimits, seed: UInt64 = 1,
        make: @escaping () throws -> any SourceRuns
    ) {
        self.expected = expected
        self.burst = burst
        self.keepsOrder = keepsOrder
        self.limits = limits
        self.seed = seed
        self.make = make
    }

    /// From a byte at a time to everything at once.
    public static let usualLimits = [
        ReadLimit(bytes: 64 << 10), ReadLimit(bytes: 1), ReadLimit(bytes: 50),
        ReadLimit(bytes: 64 << 10, records: 1), ReadLimit(bytes: 64 << 10, records: 3),
        ReadLimit(bytes: 70, records: 2),
    ]

    /// Everything that does not hold; empty when all does.
    public func violations() -> [String] {
        do {
            let runs = try make()
            try runs.begin()
            let all = try readAll(runs, limits[0])
            var found = differences(all.map(\.text), expected, "all records")
            guard found.isEmpty else { return found }
            for limit in limits {
                found += try checkReading(limit, all)
                found += try checkCuts(limit, all)
            }
            for round in 0..<UInt64(6) { found += try checkKills(seed &+ round, all) }
            return found
        } catch let problem as Problem {
            return [problem.text]
        } catch {
            return ["an error: \(error)"]
        }
    }

    private struct Problem: Error { var text: String }

    // MARK: Reading

    /// The next batch with records; nil at the end.
    private func next(_ runs: any SourceRuns, _ limit: ReadLimit) throws -> ReadBatch? {
        for _ in 0..<10_000 {
            batch.removeAll()
            switch try runs.read(into: batch, limit: limit, milliseconds: 1) {
            case .end: return nil
            case .revoked:
                throw Problem(text: "\(limit): revokes, although nobody has asked for it")
            case .nothingYet:
                guard batch.isEmpty else {
                    throw Problem(text: "\(limit): records in a batch that is said to be empty")
                }
            case .records:
                guard !batch.isEmpty else {
                    throw Problem(text: "\(limit): no record in a batch that is said to have some")
                }
                let taken = ReadBatch(batch)
                if !taken.rows.isEmpty { return taken }
            }
        }
        throw Problem(text: "\(limit): neither a record nor an end after 10,000 calls")
    }

    private func readAll(_ runs: any SourceRuns, _ limit: ReadLimit) throws -> [Row] {
        var rows: [Row] = []
        while let taken = try next(runs, limit) { rows += taken.rows }
        return rows
    }

    /// The same records, and not more at once than is allowed.
    private func checkReading(_ limit: ReadLimit, _ all: [Row]) throws -> [String] {
        let runs = try make()
        try runs.begin()
        var rows: [Row] = []
        var found: [String] = []
        let longest = all.map { $0.text.utf8.count + 1 }.max() ?? 0
        while let taken = try next(runs, limit) {
            rows += taken.rows
            if let most = limit.records, taken.rows.count > most {
                found.append("\(limit): \(taken.rows.count) records at once")
            }
            if taken.byteCount > limit.bytes + longest * burst {
                found.append("\(limit): \(taken.byteCount) bytes at once")
            }
        }
        if try next(runs, limit) != nil { found.append("\(limit): records behind the end") }
        return found + differences(rows, all, "\(limit)")
    }

    // MARK: Going on

    /// A run that ends behind any record, with commits at every record before or with none.
    private func checkCuts(_ limit: ReadLimit, _ all: [Row]) throws -> [String] {
        var found: [String] = []
        for cut in 0...all.count {
            for isDense in [false, true] {
                let what = "\(limit), cut behind \(cut) records\(isDense ? ", each committed" : "")"
                let runs = try make()
                try runs.begin()
                var rows = try read(runs, limit, to: cut, isDense: isDense)
                if let last = rows.last {
                    if try runs.commit(before: last.next) {
                        found.append("\(what): a position is told that has not changed")
                    }
                } else {
                    _ = try runs.commit(before: nil)
                }
                try runs.begin()
                rows += try readAll(runs, limit).map { ($0, nil) }
                found += differences(inOrder(rows.map(\.row)), inOrder(all), what)
            }
        }
        return found
    }

    private typealias Done = (row: Row, next: RecordPlace?)

    /// Reads so many records and commits exactly those; each with what was committed behind it.
    private func read(
        _ runs: any SourceRuns, _ limit: ReadLimit, to cut: Int, isDense: Bool
    ) throws -> [Done] {
        var done: [Done] = []
        while done.count < cut, let taken = try next(runs, limit) {
            for index in taken.rows.indices where done.count < cut {
                let behind = index + 1 < taken.rows.count ? taken.places[index + 1] : nil
                done.append((taken.rows[index], behind))
                if isDense || done.count == cut { _ = try runs.commit(before: behind) }
            }
        }
        return done
    }

    /// Kills at random moments: what was committed does not come again, what was not does.
    private func checkKills(_ seed: UInt64, _ all: [Row]) throws -> [String] {
        var random = SeededRandom(seed: seed)
        let runs = try make()
        var committed: [Row] = []
        for _ in 0..<(4 * all.count + 20) {
            try runs.begin()
            var done: [Row] = []
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let limit = limits.randomElement(using: &random) ?? limits[0]
                guard let taken = try next(runs, limit) else { break }
                let count = Int.random(in: 1...taken.rows.count, using: &random)
                let isWhole = count == taken.rows.count
                done += taken.rows[..<count]
                if !isWhole || Bool.random(using: &random) {
                    _ = try runs.commit(before: isWhole ? nil : taken.places[count])
                    committed += done
                    done = []
                }
                if !isWhole { break }
            }
        }
        try runs.begin()
        committed += try readAll(runs, limits[0])
        return differences(inOrder(committed), inOrder(all), "kills, \(random)")
    }

    /// Rows as they are compared where a run has ended between them.
    private func inOrder(_ rows: [Row]) -> [Row] {
        keepsOrder ? rows : rows.sorted { $0.position < $1.position }
    }

    private func differences<Item: Equatable>(
        _ found: [Item], _ wanted: [Item], _ what: String
    ) -> [String] {
        if found == wanted { return [] }
        let at = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        guard let at else { return ["\(what): \(found.count) records, not \(wanted.count)"] }
        return ["\(what): record \(at) is \(found[at]), not \(wanted[at])"]
    }
}
