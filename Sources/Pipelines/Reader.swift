internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

/// The thread that reads the source and hands batches to the workers.
struct Reader {
    let run: PipelineRun
    let context: RunContext

    func main() {
        do throws(PipelineError) {
            let sources = try SourceSet(run.plan.definition, context)
            let scanner = try makeScanner()
            run.startup.send(.ready)
            read(sources, scanner)
        } catch {
            run.startup.send(.failed(error))
        }
        for channel in run.work { channel.close() }
    }

    /// With state and several workers, the reader decides which worker a record belongs to; the
    /// time that a record meets is decided here as well.
    private func makeScanner() throws(PipelineError) -> Scanner? {
        let isShared = run.isShared
        guard isShared || run.plan.definition.time != nil else { return nil }
        do {
            return try Scanner(run.plan, partitions: isShared)
        } catch {
            throw PipelineError(exitCode: 2, "error: \(error)")
        }
    }

    private func read(_ sources: SourceSet, _ scanner: Scanner?) {
        var sequence: UInt64 = 0
        while !run.stopRequested.load(ordering: .relaxed), let batch = run.pool.receive() {
            batch.removeAll()
            let outcome: SourceOutcome
            do {
                outcome = try sources.read(
                    into: batch, limit: PipelineRun.batchLimit, milliseconds: 100)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                return
            }
            switch outcome {
            case .end:
                run.hasEnded.store(true, ordering: .releasing)
                return
            case .nothingYet: run.pool.send(batch)
            case .records:
                batch.sequence = sequence
                var work = PipelineRun.Work(batch: batch, floor: sources.floor(batch.sourceIndex))
                if let scanner { scanner.scan(&work, sources) }
                // State without a key is one partition, so one worker has it all.
                for channel in run.isShared ? run.work : [run.work[0]] { channel.send(work) }
                sequence += 1
            }
        }
    }
}

/// Finds partitions and times with a VM of the reader's own.
final class Scanner {
    private var vm: RuleVM
    private let findsPartitions: Bool
    private let findsTimes: Bool

    init(_ plan: Plan, partitions: Bool) throws(RuleError) {
        vm = try plan.makeVM(log: nil)
        findsPartitions = partitions
        findsTimes = plan.definition.time != nil
    }

    func scan(_ work: inout PipelineRun.Work, _ sources: SourceSet) {
        let index = work.batch.sourceIndex
        work.scan = vm.scan(
            work.batch, partitions: findsPartitions, times: findsTimes, floor: work.floor)
        work.watermark = vm.watermark
        if let newest = vm.newestTime(ofSource: index) { sources.note(newest, of: index) }
    }
}
