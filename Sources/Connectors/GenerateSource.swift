public import Connecting
internal import Glibc
internal import Records
internal import Scripting
internal import Threads

/// Records made by a Lua script: `generate: {script, rate, count, seed}`.
///
/// The script defines `generate(i)`, called with 0, 1, 2, …; it returns a record, a list of
/// records, nil, or a text that is taken as a raw line.
final class GenerateSource: Source {
    /// The options of `pipeline.yaml`.
    struct Options: Sendable {
        var script: String
        /// How many calls; nil: without end.
        var count: UInt64?
        /// Calls per second; nil: as fast as they are taken.
        var rate: Double?
        var seed: UInt64 = 0
    }

    private let options: Options
    private let name: String
    private let generator: RuleGenerator
    private var next: UInt64 = 0
    private var line: UInt64 = 1
    private var started: UInt64 = 0
    private var told: [UInt8] = []
    /// The calls behind the last batch, and the line at which each began.
    private var calls: [(index: UInt64, line: UInt64)] = []
    /// So many records of the first call of this run were done by an earlier one.
    private var linesDone: UInt64 = 0
    /// The first call of this run.
    private var first: UInt64 = 0

    init(_ options: Options, context: RunContext) throws(ConnectorError) {
        self.options = options
        name = context.sourceName
        let path = context.folder + "/" + options.script
        guard let text = readFile(path) else {
            let problem = fileProblem(path) ?? "cannot be read"
            throw ConnectorError("\(options.script): \(problem); check source.generate.script")
        }
        if let place = context.resumption.positions["calls"] {
            let numbers = String(decoding: place, as: UTF8.self).split(separator: " ")
                .compactMap { UInt64($0) }
            if numbers.count >= 2 { (next, line) = (numbers[0], numbers[1]) }
            if numbers.count == 3 { linesDone = numbers[2] }
            first = next
        }
        do {
            generator = try RuleGenerator(file: options.script, text: text)
        } catch {
            throw ConnectorError("\(error)")
        }
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        if started == 0 { started = monotonicNanoseconds() }
        batch.source = name
        batch.file = options.script
        batch.position = next
        batch.line = line
        let due = waitForTurn(milliseconds: milliseconds)
        let allowed = min(due, limit.records.map(UInt64.init) ?? due)
        var made: UInt64 = 0
        calls.removeAll(keepingCapacity: true)
        while made < allowed, batch.bytes.count < limit.bytes {
            if let count = options.count, next >= count { break }
            calls.append((next, line))
            do {
                line += try generator.generate(index: next, seed: options.seed, into: batch)
            } catch {
                throw ConnectorError("\(error)")
            }
            if linesDone > 0 { passOverDone(in: batch) }
            next += 1
            made += 1
        }
        if !batch.isEmpty { return .records }
        if let count = options.count, next >= count { return .end }
        return .nothingYet
    }

    func takePositions(
        before place: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        var (next, line) = (next, line)
        var done: UInt64 = 0
        if let place, let call = calls.last(where: { $0.line <= place.line }) {
            (next, line) = call
            done = place.line - call.line
        }
        let position = Array("\(next) \(line) \(done)".utf8)
        guard position != told else { return }
        told = position
        body("calls", position)
    }

    /// Takes the records out of a batch that an earlier run has done of the same call.
    private func passOverDone(in batch: Batch) {
        batch.line += linesDone
        while linesDone > 0 {
            let end = unsafe batch.bytes.withUnsafeBytes { unsafe $0.firstIndex(of: 0x0A) }
            batch.bytes.removeFirst(end.map { $0 + 1 } ?? batch.bytes.count)
            linesDone -= 1
        }
    }

    /// How many calls are due now; sleeps a little when none is.
    private func waitForTurn(milliseconds: Int) -> UInt64 {
        guard let rate = options.rate else { return 100_000 }
        let elapsed = Double(monotonicNanoseconds() - started) / 1e9
        let due = UInt64(elapsed * rate) + 1
        let made = next - first
        if due > made { return due - made }
        let wait = min(Double(milliseconds) / 1000, (Double(made) / rate) - elapsed)
        if wait > 0 { usleep(UInt32(wait * 1e6)) }
        return 0
    }
}

extension SourceKind {
    /// `generate`: records made by a Lua script.
    public static let generate = SourceKind(name: "generate", section: .generateSource) { reader in
        var options = GenerateSource.Options(script: reader.string("script") ?? "")
        options.count = reader.integer("count").map(UInt64.init)
        options.rate = reader.integer("rate").map(Double.init)
        options.seed = reader.integer("seed").map(UInt64.init) ?? options.seed
        let configured = options
        return { (context: RunContext) throws(ConnectorError) -> any Source in
            try GenerateSource(configured, context: context)
        }
    }
}

extension SectionSpecification {
    fileprivate static let generateSource = SectionSpecification(
        "source.generate",
        """
        Records made by a Lua script. It defines `generate(i)`, called with 0, 1, 2 and so on, \
        which returns a record, a list of records, nil, or a text that is taken as a raw line.
        """,
        keys: [
            .required(
                "script", .text("a Lua file"), "The script, relative to the pipeline folder.",
                example: "rules/generate.lua"),
            .optional(
                "count", .integer(1...Int.max), usual: .described("without end"),
                "How many calls are made.", example: "10000"),
            .optional(
                "rate", .integer(1...1_000_000_000), usual: .described("as fast as they are taken"),
                "How many calls are made in a second.", example: "500"),
            .optional(
                "seed", .integer(0...Int.max),
                usual: .integer(Int(GenerateSource.Options(script: "").seed)),
                "Where random numbers begin; the same seed gives the same records.",
                example: "42"),
        ])
}
