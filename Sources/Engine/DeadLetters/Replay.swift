public import Definitions
internal import Records
internal import Scripting
internal import Threads

/// What became of dead letters that were run again.
public struct ReplayResult: Sendable, Hashable {
    /// How many there were.
    public var total = 0
    /// They went on to where the rules send them.
    public var delivered = 0
    /// A rule dropped them.
    public var dropped = 0
    /// They failed again.
    public var dead = 0
    /// Nothing was changed: this is what would become of them.
    public var isDryRun = false
    /// The version of the rules that would be used, of a dry run.
    public var ruleSet: String?
    /// For a dry run, letters of which the same would become, with samples of them.
    public var groups: [ReplayGroup] = []

    /// The answer as JSON.
    public var json: String {
        var fields = [("total", total), ("delivered", delivered), ("dropped", dropped)].map {
            Field($0.0, .integer(Int64($0.1)))
        }
        fields += [Field("dead", .integer(Int64(dead))), Field("dry_run", .boolean(isDryRun))]
        if let ruleSet { fields.append(Field("rule_set", .string(ruleSet))) }
        if isDryRun { fields.append(Field("samples", .array(groups.map(\.value)))) }
        return Record(fields).description
    }
}

/// Dead letters on their way through the rules, and the answer to whoever wanted that.
final class ReplayJob: Sendable {
    let letters: [DeadLetter]
    let answer = Channel<ReplayResult>(capacity: 1)
    private let counts = Locked(SliceCounts())

    init(_ letters: [DeadLetter]) { self.letters = letters }

    /// Some of them were run, and this is what was counted.
    func note(_ counted: SliceCounts) { counts.withLock { $0 += counted } }

    /// What became of all of them.
    var result: ReplayResult {
        let counts = counts.withLock { $0 }
        var result = ReplayResult()
        result.total = letters.count
        result.dead = counts.failed
        result.dropped = counts.dropped
        result.delivered = letters.count - counts.failed - counts.dropped
        return result
    }

    /// Letters from a place on that can be in one batch: those of one file of one source.
    func part(from start: Int) -> ArraySlice<DeadLetter> {
        let first = letters[start]
        let rest = letters[start...].prefix(Self.partLimit)
        return rest.prefix {
            $0.text("source") == first.text("source")
                && $0.text("source_file") == first.text("source_file")
        }
    }

    private static let partLimit = 64
}

extension Batch {
    /// Fills it with dead letters of one file, under the ids that they had.
    package func fill(_ letters: ArraySlice<DeadLetter>, sources: [SourceDefinition]) {
        removeAll()
        guard let first = letters.first else { return }
        source = first.text("source") ?? "source"
        file = first.text("source_file") ?? ""
        sourceIndex = sources.firstIndex { $0.name == source } ?? 0
        for letter in letters {
            func keep(_ text: [UInt8]) -> Range<Int> {
                let start = originals.count
                originals.append(contentsOf: text)
                return start..<originals.count
            }
            let start = bytes.count
            bytes.append(contentsOf: letter.json)
            let original = letter.original
            var entry = Entry(
                text: start..<bytes.count, original: keep(original), problem: 0..<0,
                position: letter.integer("position"), line: letter.integer("source_line"),
                originalLength: max(UInt64(original.count), letter.integer("original_length")))
            entry.id = keep(Array(letter.id.utf8))
            entries.append(entry)
        }
    }
}

extension PipelineRun {
    /// The dead letters of the run's store; nil when it keeps nothing.
    public var deadLetters: DeadLetters? { store.map(DeadLetters.init) }

    /// Runs dead letters through the rules again, from the first stage on; returns when what became
    /// of them is kept. Any thread.
    public func replay(_ letters: [DeadLetter]) throws(PipelineError) -> ReplayResult {
        guard !letters.isEmpty else { return ReplayResult() }
        let job = ReplayJob(letters)
        guard replays.send(job), let result = job.answer.receive() else {
            throw PipelineError(exitCode: 1, "the pipeline is stopping; try again later")
        }
        noteReplay(result)
        return result
    }
}

extension RuleCounts {
    /// Dropped records for whatever reason.
    var droppedTotal: Int { dropped.values.reduce(0, +) }
}
