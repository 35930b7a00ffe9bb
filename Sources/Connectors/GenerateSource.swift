package import Connecting
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
        var seed: UInt64
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
        guard let text = readWholeFile(path) else {
            throw ConnectorError("\(options.script): cannot be read; check source.generate.script")
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
    package static let generate = SourceKind(name: "generate") { setting, diagnostics in
        var reader = SettingReader(setting, what: "source.generate")
        reader.require("script")
        let script = reader.string("script")
        let count = reader.integer("count", in: 1...Int.max)
        let seed = reader.integer("seed", in: 0...Int.max)
        let rate = reader.integer("rate", in: 1...1_000_000_000)
        let found = reader.finish()
        diagnostics += found
        guard found.isEmpty, let script else { return nil }
        let options = GenerateSource.Options(
            script: script, count: count.map(UInt64.init), rate: rate.map(Double.init),
            seed: UInt64(seed ?? 0))
        return { (context: RunContext) throws(ConnectorError) -> any Source in
            try GenerateSource(options, context: context)
        }
    }
}
