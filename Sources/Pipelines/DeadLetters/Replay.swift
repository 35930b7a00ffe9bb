internal import Records
internal import Scripting

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
    /// For a dry run, what would become of each: its id, `delivered`, `dropped` or the reason.
    public var outcomes: [(id: String, outcome: String)] = []

    /// The same numbers.
    public static func == (left: ReplayResult, right: ReplayResult) -> Bool {
        left.total == right.total && left.delivered == right.delivered
            && left.dropped == right.dropped && left.dead == right.dead
            && left.isDryRun == right.isDryRun
    }

    /// Combines the numbers.
    public func hash(into hasher: inout Hasher) {
        hasher.combine([total, delivered, dropped, dead])
    }

    /// The answer as JSON.
    public var json: String {
        "{\"total\":\(total),\"delivered\":\(delivered),\"dropped\":\(dropped),\"dead\":\(dead),"
            + "\"dry_run\":\(isDryRun)}"
    }
}

/// Dead letters on their way through the rules, and the answer to whoever wanted that.
final class ReplayJob: Sendable {
    let letters: [DeadLetter]
    let answer = Channel<ReplayResult>(capacity: 1)

    init(_ letters: [DeadLetter]) { self.letters = letters }

    /// Letters that can be in one batch: those of one file of one source, up to a limit.
    func forEachRun(_ body: (ArraySlice<DeadLetter>) throws -> Void) rethrows {
        var start = 0
        while start < letters.count {
            var end = start + 1
            while end < letters.count, end - start < 256,
                letters[end].text("source") == letters[start].text("source"),
                letters[end].text("source_file") == letters[start].text("source_file")
            {
                end += 1
            }
            try body(letters[start..<end])
            start = end
        }
    }
}

extension Batch {
    /// Fills it with dead letters of one file, under the ids that they had.
    func fill(_ letters: ArraySlice<DeadLetter>, sources: [SourceDefinition]) {
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
        let job = ReplayJob(letters)
        guard replays.send(job), let result = job.answer.receive() else {
            throw PipelineError(exitCode: 1, "the pipeline is stopping; try again later")
        }
        return result
    }

    /// What the current rules would make of dead letters, on a copy of the state: nothing changes.
    public func tryReplay(_ letters: [DeadLetter]) throws(PipelineError) -> ReplayResult {
        let state = committer?.encodedRules(of: allStageNames) ?? []
        return try Self.tryReplay(letters, versions.wanted.plan, state, lookups.current)
    }

    private static func tryReplay(
        _ letters: [DeadLetter], _ plan: Plan, _ state: [UInt8], _ lookups: [String: Lookup]
    ) throws(PipelineError) -> ReplayResult {
        do throws(RuleError) {
            var purpose = MachinePurpose()
            purpose.showsLetters = true
            var vm = try plan.makeVM(for: purpose, log: nil)
            for (name, table) in lookups { vm.setLookup(name, to: table) }
            try vm.load()
            if !state.isEmpty { try vm.restore(encoded: state, worker: 0, workers: 1) }
            let sinks = (0...plan.definition.sinks.count).map { _ in OutputBuffer() }
            let rows = plan.definition.stages.compactMap { stage in
                if case .aggregate = stage.work { RowBuffer() } else { nil }
            }
            var result = ReplayResult()
            result.total = letters.count
            result.isDryRun = true
            let batch = Batch()
            for index in letters.indices {
                batch.fill(letters[index...index], sources: plan.definition.sources)
                let before = vm.counts
                try vm.run(batch, into: sinks, rows: rows)
                let after = vm.counts
                let reason = unsafe sinks[plan.definition.sinks.count].withUnsafeBytes {
                    unsafe (try? Record(json: Array($0.dropLast())))?["reason"]?.text
                }
                result.note(
                    letters[index].id, isDead: after.deadLetters > before.deadLetters,
                    isDropped: after.droppedTotal > before.droppedTotal, reason: reason)
                for sink in sinks { sink.removeAll() }
                for buffer in rows { buffer.removeAll() }
            }
            return result
        } catch {
            throw PipelineError(exitCode: 1, "error: \(error)")
        }
    }
}

extension ReplayResult {
    fileprivate mutating func note(_ id: String, isDead: Bool, isDropped: Bool, reason: String?) {
        if isDead {
            dead += 1
            outcomes.append((id, reason ?? "dead"))
        } else if isDropped {
            dropped += 1
            outcomes.append((id, "dropped"))
        } else {
            delivered += 1
            outcomes.append((id, "delivered"))
        }
    }
}

extension RuleCounts {
    /// Dropped records for whatever reason.
    var droppedTotal: Int { dropped.values.reduce(0, +) }
}
