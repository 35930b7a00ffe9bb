internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

/// The thread that reads the source and hands batches to the workers.
struct Reader {
    let run: PipelineRun
    let context: RunContext

    func main() {
        guard let source = run.plan.definition.source else {
            run.startup.send(
                .failed(PipelineError(exitCode: 2, "the pipeline has no source")))
            return
        }
        do {
            let opened = try source.open(context)
            let partitioner = try makePartitioner()
            run.startup.send(.ready)
            read(opened, partitioner)
        } catch let error as ConnectorError {
            run.startup.send(.failed(PipelineError(exitCode: 1, "error: \(error.description)")))
        } catch {
            run.startup.send(.failed(PipelineError(exitCode: 2, "error: \(error)")))
        }
        for channel in run.work { channel.close() }
    }

    /// With state and several workers, the reader decides which worker a record belongs to.
    private func makePartitioner() throws(RuleError) -> Partitioner? {
        let isNeeded = run.usesState.load(ordering: .relaxed) && run.workerCount > 1
        guard isNeeded, run.plan.definition.key != nil else { return nil }
        return try Partitioner(run.plan)
    }

    private func read(_ source: any Source, _ partitioner: Partitioner?) {
        var sequence: UInt64 = 0
        while !run.stopRequested.load(ordering: .relaxed), let batch = run.pool.receive() {
            batch.removeAll()
            let outcome: SourceOutcome
            do {
                outcome = try source.read(
                    into: batch, limit: PipelineRun.batchLimit, milliseconds: 100)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                return
            }
            switch outcome {
            case .end: return
            case .nothingYet: run.pool.send(batch)
            case .records:
                batch.sequence = sequence
                if let partitioner {
                    let partitions = partitioner.partitions(of: batch)
                    for channel in run.work {
                        channel.send(PipelineRun.Work(batch: batch, partitions: partitions))
                    }
                } else {
                    // State without a key is one partition, so one worker has it all.
                    run.work[0].send(PipelineRun.Work(batch: batch))
                }
                sequence += 1
            }
        }
    }
}

/// Computes partitions with a VM of the reader's own.
final class Partitioner {
    private var vm: RuleVM

    init(_ plan: Plan) throws(RuleError) {
        vm = try plan.makeVM(log: nil)
    }

    func partitions(of batch: Batch) -> [UInt16] { vm.partitions(of: batch) }
}
