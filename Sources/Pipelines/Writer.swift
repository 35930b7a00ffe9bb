internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

/// The thread that writes rows to the sinks, in the order in which their records were read.
struct Writer {
    let run: PipelineRun
    let sinks: [any Sink]

    func main() {
        // Without this, a run whose source has ended would wait for the refreshing of lookups.
        defer { run.lookups.end() }
        do {
            try write()
            if run.hasFailed {
                for sink in sinks { sink.abandon() }
            } else {
                for sink in sinks { try sink.finish() }
            }
        } catch {
            run.fail(PipelineError(exitCode: 1, error.description))
            for sink in sinks { sink.abandon() }
        }
    }

    private func write() throws(ConnectorError) {
        var next: UInt64 = 0
        var waiting: [UInt64: [PipelineRun.Finished]] = [:]
        let isShared =
            run.usesState.load(ordering: .relaxed) && run.work.count > 1
            && run.plan.definition.key != nil
        let expected = isShared ? run.work.count : 1
        while let item = try nextItem() {
            let sequence = item.batch.sequence
            waiting[sequence, default: []].append(item)
            while let parts = waiting[next], parts.count == expected {
                waiting[next] = nil
                next += 1
                for part in parts { try write(part) }
                run.pool.send(parts[0].batch)
            }
        }
    }

    /// When nothing more is at hand, what was written becomes visible before we wait.
    private func nextItem() throws(ConnectorError) -> PipelineRun.Finished? {
        if let item = run.finished.tryReceive() { return item }
        for sink in sinks { try sink.flush() }
        return run.finished.receive()
    }

    private func write(_ part: PipelineRun.Finished) throws(ConnectorError) {
        var total = 0
        for (index, output) in part.outputs.enumerated() where output.rows > 0 {
            let rows = output.rows
            total += rows
            try unsafe output.withUnsafeBytes { (bytes) throws(ConnectorError) in
                try unsafe sinks[index].write(bytes, count: rows)
            }
            run.shared.withLock { $0.delivered[index] += rows }
        }
        run.deliveredCount.add(total, ordering: .relaxed)
        for output in part.outputs { output.removeAll() }
        run.outputPool.send(part.outputs)
    }
}
