internal import Records
internal import Stages
internal import Synchronization

/// The thread that writes rows to the sinks, in the order in which their records were read.
struct Writer {
    let run: PipelineRun
    let delivery: SinkWriter

    func main() {
        // Without this, a run whose source has ended would wait for the refreshing of lookups.
        defer { run.lookups.end() }
        delivery.whole { () throws(ConnectorError) in try write() }
    }

    private func write() throws(ConnectorError) {
        var next: UInt64 = 0
        var waiting: [UInt64: [PipelineRun.Finished]] = [:]
        let isShared =
            run.usesState.load(ordering: .relaxed) && run.workerCount > 1
            && run.plan.definition.key != nil
        let expected = isShared ? run.workerCount : 1
        while let item = try nextItem() {
            let sequence = item.batch.sequence
            waiting[sequence, default: []].append(item)
            while let parts = waiting[next], parts.count == expected {
                waiting[next] = nil
                next += 1
                for part in parts {
                    try delivery.write(part.outputs)
                    run.outputPool.send(part.outputs)
                }
                run.pool.send(parts[0].batch)
            }
        }
    }

    /// When nothing more is at hand, what was written becomes visible before we wait.
    private func nextItem() throws(ConnectorError) -> PipelineRun.Finished? {
        if let item = run.finished.tryReceive() { return item }
        try delivery.flush()
        return run.finished.receive()
    }
}
