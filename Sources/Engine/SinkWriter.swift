internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// The sinks of a run, used by the one thread that writes rows.
struct SinkWriter {
    let run: PipelineRun
    let sinks: [any Sink]
    /// Nil when no sink takes its rows from there.
    let outbox: Outbox?

    init(run: PipelineRun, sinks: [any Sink]) {
        self.run = run
        self.sinks = sinks
        outbox = run.outbox.isUsed ? run.outbox : nil
    }

    /// Writes the rows of one batch, one buffer per sink, and empties the buffers.
    func write(_ outputs: [OutputBuffer]) throws(ConnectorError) {
        var total = 0
        for (index, output) in outputs.enumerated() where output.rows > 0 {
            let rows = output.rows
            total += rows
            try unsafe output.withUnsafeBytes { (bytes) throws(ConnectorError) in
                try unsafe sinks[index].write(bytes, count: rows)
            }
            run.shared.withLock { $0.delivered[index] += rows }
            output.removeAll()
        }
        run.deliveredCount.add(total, ordering: .relaxed)
    }

    /// Makes what was written visible.
    func flush() throws(ConnectorError) {
        for sink in sinks { try sink.flush() }
    }

    /// Adds how far the rows that were written reach, and what makes them last.
    func addPositions(to draft: inout CommitDraft) {
        for (index, sink) in sinks.enumerated() {
            if let queue = sink as? QueueSink {
                if let rows = queue.takeRows() { draft.messages.append(rows) }
                continue
            }
            if let exchange = sink as? ExchangeSink {
                draft.routed += exchange.takeRows()
                continue
            }
            if let letters = sink as? LetterSink {
                draft.letters = letters.takeRows()
                continue
            }
            if sink is TapSink { continue }
            if let feed = sink as? OutboxFeed {
                feed.addRows(to: &draft)
                continue
            }
            draft.addPositions("sink \(run.plan.definition.sinks[index].name)", sink)
            if let syncer = sink.syncer { draft.syncers.append(syncer) }
        }
    }

    /// Writes with `body`, then finishes the sinks, or abandons them when the run has failed.
    func whole(_ body: () throws(ConnectorError) -> Void) {
        do {
            try body()
            if !run.isBroken { outbox?.finish(run) }
            if run.hasFailed {
                noteDeliveries()
                abandon()
            } else {
                for sink in sinks { try sink.finish() }
                if let committer = run.committer, !run.options.onlyLooks {
                    // Files have their final names now, and the outbox is as empty as it gets.
                    var draft = CommitDraft()
                    addLastPositions(to: &draft)
                    committer.submitAndWait(draft)
                }
            }
        } catch {
            run.fail(PipelineError(exitCode: 1, error.description))
            abandon()
        }
    }

    private func addLastPositions(to draft: inout CommitDraft) {
        for (index, sink) in sinks.enumerated() where index < run.plan.definition.sinks.count {
            if let feed = sink as? OutboxFeed {
                feed.addRows(to: &draft)
            } else {
                draft.addPositions("sink \(run.plan.definition.sinks[index].name)", sink)
            }
        }
    }

    /// What was delivered before a source failed does not come again.
    private func noteDeliveries() {
        guard outbox != nil, !run.isBroken, let committer = run.committer else { return }
        var draft = CommitDraft()
        for case let feed as OutboxFeed in sinks { feed.addRows(to: &draft) }
        committer.submitAndWait(draft)
    }

    func abandon() {
        for sink in sinks { sink.abandon() }
    }
}
