internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

/// The sinks of a run, used by the one thread that writes rows.
struct SinkWriter {
    let run: PipelineRun
    let sinks: [any Sink]

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

    /// Writes with `body`, then finishes the sinks, or abandons them when the run has failed.
    func whole(_ body: () throws(ConnectorError) -> Void) {
        do {
            try body()
            if run.hasFailed {
                abandon()
            } else {
                for sink in sinks { try sink.finish() }
            }
        } catch {
            run.fail(PipelineError(exitCode: 1, error.description))
            abandon()
        }
    }

    func abandon() {
        for sink in sinks { sink.abandon() }
    }
}
