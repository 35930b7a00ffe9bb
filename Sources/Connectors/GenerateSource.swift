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
        var seed: UInt64 = 0
    }

    /// Where a call begins in everything that the script makes.
    private struct Place {
        /// The number of the call.
        var call: UInt64 = 0
        var line: UInt64 = 1
        /// In bytes.
        var offset: UInt64 = 0
    }

    private let options: Options
    private let name: String
    private let generator: RuleGenerator
    private var next = Place()
    private var started: UInt64 = 0
    private var told: [UInt8] = []
    /// The calls behind the last batch, and the one whose records did not all fit into it.
    private var calls: [Place] = []
    /// Records of the last call that the batch could not take, and where they begin.
    private var left = ByteBuffer()
    private var leftPlace = Place()
    /// So many lines of the first call of this run were done by an earlier one.
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
            if numbers.count >= 2 {
                // Older stores do not have the offset, which was the number of the call then.
                let offset = numbers.count > 3 ? numbers[3] : numbers[0]
                next = Place(call: numbers[0], line: numbers[1], offset: offset)
            }
            if numbers.count >= 3 { linesDone = numbers[2] }
            first = next.call
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
        let place = left.isEmpty ? next : leftPlace
        batch.position = place.offset
        batch.line = place.line
        calls.removeFirst(max(0, left.isEmpty ? calls.count : calls.count - 1))
        var lines = takeLeft(into: batch, limit)
        var due = left.isEmpty ? waitForTurn(milliseconds: lines > 0 ? 0 : milliseconds) : 0
        while due > 0, lines < limit.records ?? .max, batch.bytes.count < limit.bytes,
            left.isEmpty, !hasEnded
        {
            lines += try call(into: batch, lines, limit)
            due -= 1
        }
        if !batch.isEmpty { return .records }
        return hasEnded ? .end : .nothingYet
    }

    /// True when no call is left.
    private var hasEnded: Bool { options.count.map { next.call >= $0 } ?? false }

    /// Makes one call; returns how many lines the batch has got.
    private func call(
        into batch: Batch, _ lines: Int, _ limit: ReadLimit
    ) throws(ConnectorError) -> Int {
        let start = batch.bytes.count
        var place = next
        calls.append(place)
        do {
            _ = try generator.generate(index: next.call, seed: options.seed, into: batch)
        } catch {
            throw ConnectorError("\(error)")
        }
        var made = lineCount(of: batch, from: start)
        next.call += 1
        next.line += UInt64(made)
        next.offset += UInt64(batch.bytes.count - start)
        if linesDone > 0 {
            let passed = passOverDone(in: batch)
            place.line += UInt64(passed.lines)
            place.offset += UInt64(passed.bytes)
            made -= passed.lines
        }
        guard made > 1 else { return made }
        return holdBack(from: start, of: batch, place, lines, made, limit)
    }

    private func lineCount(of batch: Batch, from start: Int) -> Int {
        unsafe batch.bytes.withUnsafeBytes {
            unsafe newlineCount(of: UnsafeRawBufferPointer(rebasing: $0[start...]))
        }
    }

    /// Gives what an earlier batch could not take.
    private func takeLeft(into batch: Batch, _ limit: ReadLimit) -> Int {
        guard !left.isEmpty else { return 0 }
        batch.bytes.append(copyOf: left)
        left.removeAll()
        let made = lineCount(of: batch, from: 0)
        return holdBack(from: 0, of: batch, leftPlace, 0, made, limit)
    }

    /// Keeps back lines of the last call that are more than the batch may hold; returns how many
    /// of them it holds. Those from `start` on begin at `place`; `lines` stand before them.
    private func holdBack(
        from start: Int, of batch: Batch, _ place: Place, _ lines: Int, _ made: Int,
        _ limit: ReadLimit
    ) -> Int {
        let most = min(made, (limit.records ?? .max) - lines)
        guard most < made || batch.bytes.count > limit.bytes else { return made }
        var end = start
        var kept = 0
        unsafe batch.bytes.withUnsafeBytes { bytes in
            while kept < most, let at = unsafe bytes[end...].firstIndex(of: 0x0A) {
                // One record may be longer than the limit.
                if at + 1 > limit.bytes, kept + lines > 0 { break }
                end = at + 1
                kept += 1
            }
        }
        left.append(copyOf: batch.bytes, end..<batch.bytes.count)
        batch.bytes.truncate(to: end)
        leftPlace = place
        leftPlace.line += UInt64(kept)
        leftPlace.offset += UInt64(end - start)
        return kept
    }

    func takePositions(
        before place: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        var call = next
        var done: UInt64 = 0
        let line = place?.line ?? (left.isEmpty ? nil : leftPlace.line)
        if let line, let last = calls.last(where: { $0.line <= line }) {
            call = last
            done = line - last.line
        }
        let position = Array("\(call.call) \(call.line) \(done) \(call.offset)".utf8)
        guard position != told else { return }
        told = position
        body("calls", position)
    }

    /// Takes the lines out of an empty batch's first call that an earlier run has done.
    private func passOverDone(in batch: Batch) -> (lines: Int, bytes: Int) {
        let before = batch.bytes.count
        let lines = linesDone
        while linesDone > 0, !batch.bytes.isEmpty {
            let end = unsafe batch.bytes.withUnsafeBytes { unsafe $0.firstIndex(of: 0x0A) }
            batch.bytes.removeFirst(end.map { $0 + 1 } ?? batch.bytes.count)
            linesDone -= 1
        }
        let passed = (lines: Int(lines - linesDone), bytes: before - batch.bytes.count)
        linesDone = 0
        batch.line += UInt64(passed.lines)
        batch.position += UInt64(passed.bytes)
        return passed
    }

    /// How many calls are due now; sleeps a little when none is.
    private func waitForTurn(milliseconds: Int) -> UInt64 {
        guard let rate = options.rate else { return 100_000 }
        let elapsed = Double(monotonicNanoseconds() - started) / 1e9
        let due = UInt64(elapsed * rate) + 1
        let made = next.call - first
        if due > made { return due - made }
        let wait = min(Double(milliseconds) / 1000, (Double(made) / rate) - elapsed)
        if wait > 0 { usleep(UInt32(wait * 1e6)) }
        return 0
    }
}

extension SourceKind {
    /// `generate`: records made by a Lua script.
    package static let generate = SourceKind(name: "generate", section: .generateSource) { reader in
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
