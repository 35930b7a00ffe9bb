internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// Where rows leave, in the order in which their records were read: windows, sinks, and what goes
/// into a commit. Used by one thread.
final class Outlet {
    private let run: PipelineRun
    private let sinks: [any OutletSink]
    /// Nil when there are no windows.
    private let tail: Tail?
    /// The lane's machine, when lane and outlet share a thread.
    private let front: RuleMachine?
    private let merged = MergedOutput()
    private lazy var refusals = RefusalDesk(run, tail: tail, front: front)
    /// Dead letters that were run again, whose senders wait for the next commit.
    private var answers: [ReplayJob] = []

    init(_ run: PipelineRun, _ sinks: [any OutletSink], tail: Tail?, front: RuleMachine?) {
        self.run = run
        self.sinks = sinks
        self.tail = tail
        self.front = front
    }

    // MARK: Rows

    /// Brings the rules behind windows up to date while no rows come; between two slices only.
    func prepare(step: Int) { tail?.prepare(step: step) }

    /// Takes what lanes have made of a slice.
    ///
    /// - Parameter results: what the windows of each lane have given; none without windows.
    /// - Parameter watermark: how far time is behind the slice; nil without event time.
    func take(
        _ parts: [LanePart], _ results: [WindowResults], of work: Work, watermark: Int64?
    ) throws {
        try write(parts)
        if let tail {
            tail.prepare(step: work.step)
            let (rows, taken) = byStage(results)
            try write(
                work.isClosing
                    ? tail.finish(
                        rows, taken: taken, letters: parts.map(\.rows), isEnding: work.isEnding)
                    : tail.take(
                        rows, taken: taken, letters: parts.map(\.rows), watermark: watermark))
        }
        note(parts, of: work)
    }

    /// Takes a batch of several lanes, which may have run the rules behind windows already.
    func take(_ item: LaneExchange.Finished) throws {
        let batch = item.batch
        guard let tail, !item.shared.isEmpty else {
            return try take(
                batch.parts, item.results, of: batch.work, watermark: batch.watermark)
        }
        try write(batch.parts)
        tail.prepare(step: batch.work.step)
        let (rows, taken) = byStage(item.results)
        try write(tail.take(rows, taken: taken, shared: item.shared))
        try write(item.shares)
        note(batch.parts, of: batch.work)
    }

    private func note(_ parts: [LanePart], of work: Work) {
        guard let replay = work.replay else { return }
        replay.job.note(parts.reduce(into: SliceCounts()) { $0 += $1.counts })
        if replay.isLast, work.isDone { answers.append(replay.job) }
    }

    private func byStage(_ results: [WindowResults]) -> (rows: [[WindowRows]], taken: [Int]) {
        let places = results.first?.rows.indices ?? 0..<0
        return (
            places.map { place in results.map { $0.rows[place] } }, results.first?.taken ?? []
        )
    }

    private func write(_ parts: [LanePart]) throws(ConnectorError) {
        if let only = parts.first, parts.count == 1 { return try write(only.sinks) }
        for index in sinks.indices {
            try write(merged.merge(parts.map { $0.sinks[index] }), to: index)
        }
    }

    private func write(_ buffers: [OutputBuffer]) throws(ConnectorError) {
        for (index, buffer) in buffers.enumerated() where buffer.rows > 0 {
            try write(buffer, to: index)
        }
    }

    private func write(_ buffer: OutputBuffer, to index: Int) throws(ConnectorError) {
        let count = buffer.rows
        guard count > 0 else { return }
        let refused = try unsafe buffer.withUnsafeBytes { (bytes) throws(ConnectorError) in
            try unsafe write(bytes, count, to: index)
        }
        buffer.removeAll()
        let taken = count - refused.count
        // What the engine keeps for itself, and what lookers see, was delivered to nobody.
        if index < run.plan.definition.sinks.count {
            run.shared.withLock { $0.delivered[index] += taken }
            run.deliveredCount.add(taken, ordering: .relaxed)
        }
        if !refused.isEmpty { try refuse(refused, by: index) }
    }

    /// Writes until the sink has the rows; returns those that it refuses.
    private func write(
        _ rows: UnsafeRawBufferPointer, _ count: Int, to index: Int
    ) throws(ConnectorError) -> [RefusedDelivery] {
        var pause = RetryPause()
        while true {
            do throws(ConnectorError) {
                try unsafe sinks[index].write(rows, count: count)
                return []
            } catch {
                if case .refuse(let refused) = error.remedy {
                    return unsafe RefusedDelivery.list(refused, of: rows)
                }
                guard let wait = pause.next(after: error), run.pause(milliseconds: wait) else {
                    throw error
                }
                if error.remedy == .reconnect { try sinks[index].reconnect() }
            }
        }
    }

    /// Makes dead letters of rows that a sink will never take.
    private func refuse(_ rows: [RefusedDelivery], by index: Int) throws(ConnectorError) {
        let definition = run.plan.definition
        guard definition.sinks.indices.contains(index), definition.sinks[index].from != .deadLetters
        else {
            throw ConnectorError(
                "error: a sink of dead letters refuses one: \(rows.first?.reason ?? "")")
        }
        let name = definition.sinks[index].name
        run.notices.note(
            "refused \(name)", count: rows.count,
            "warning: the sink \(name) refused a row, which is a dead letter now: "
                + (rows.last?.reason ?? ""))
        try write(refusals.letters(of: rows, sink: name))
    }

    /// What was written becomes visible now.
    func flush() throws(ConnectorError) {
        for sink in sinks { try sink.flush() }
    }

    /// Lets sinks see what was changed from outside. One of them may want a commit before it goes
    /// on, which the intake hears.
    func look() throws(ConnectorError) {
        for sink in sinks where try sink.look() {
            run.isCommitWanted.store(true, ordering: .relaxed)
        }
    }

    // MARK: Commits

    /// A commit begins: adds how far windows, rules behind them and sinks are.
    func addEntries(to draft: inout CommitDraft) throws(ConnectorError) {
        try addSinks(to: &draft)
        tail?.addEntries(to: &draft)
        for job in answers { draft.whenKept.append { job.answer.send(job.result) } }
        answers = []
    }

    private func addSinks(to draft: inout CommitDraft) throws(ConnectorError) {
        // First what is refused, since that becomes rows of other sinks.
        try takeRefused()
        run.isCommitWanted.store(false, ordering: .relaxed)
        for sink in sinks { try sink.prepareCommit() }
        for sink in sinks { sink.addEntries(to: &draft) }
    }

    private func takeRefused() throws(ConnectorError) {
        for (index, sink) in sinks.enumerated() {
            let refused = sink.takeRefused()
            if !refused.isEmpty { try refuse(refused, by: index) }
        }
    }

    // MARK: The end

    /// Runs `body`, then finishes the sinks, or abandons them when the run has failed.
    func whole(_ body: () throws -> Void) {
        do {
            try body()
            if !run.isBroken {
                run.outboxes.finish(run)
                // What was refused last becomes rows of other sinks, which are open still.
                try takeRefused()
            }
            report()
            if run.hasFailed {
                try noteDeliveries()
                for sink in sinks { sink.abandon() }
            } else {
                for sink in sinks { try sink.finish() }
                // Files have their final names now, and the outboxes are as empty as they get.
                if !run.options.onlyLooks { try commitLast() }
            }
        } catch {
            let text = (error as? ConnectorError)?.description ?? "error: \(error)"
            run.fail(PipelineError(exitCode: 1, text))
            report()
            for sink in sinks { sink.abandon() }
        }
    }

    private func commitLast() throws(ConnectorError) {
        guard let committer = run.committer else { return }
        var draft = CommitDraft()
        try addSinks(to: &draft)
        committer.submitAndWait(draft)
    }

    /// What was delivered before a source failed does not come again.
    private func noteDeliveries() throws(ConnectorError) {
        guard !run.isBroken, run.outboxes.isUsed else { return }
        try commitLast()
    }

    private func report() {
        guard let tail else {
            let counts = refusals.counts
            return run.shared.withLock { $0.counts.add(counts) }
        }
        let counts = tail.machine === front ? RuleCounts() : tail.machine.vm.counts
        run.shared.withLock {
            $0.counts.add(counts)
            $0.windows = tail.counts
        }
    }
}

extension RefusedDelivery {
    /// The rows that were refused, with their bytes.
    static func list(_ refused: [RefusedRow], of rows: UnsafeRawBufferPointer) -> [Self] {
        let all = unsafe lines(of: rows)
        return refused.compactMap { row in
            all.indices.contains(row.index)
                ? RefusedDelivery(row: all[row.index], reason: row.reason) : nil
        }
    }
}
