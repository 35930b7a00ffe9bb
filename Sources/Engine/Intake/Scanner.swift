internal import Definitions
internal import Records
internal import Scripting

/// Finds the partition and the time of each record, when several lanes share a batch: each of them
/// runs the records of its partitions, and all of them see time come on.
final class Scanner {
    private var vm: RuleVM
    private let findsTimes: Bool

    init(_ run: PipelineRun) throws(RuleError) {
        vm = try run.plan.makeVM(log: nil)
        findsTimes = run.plan.definition.time != nil
    }

    /// What was found, and the newest time among the records.
    func scan(_ batch: Batch, _ clock: ClockReading) -> (records: RecordScan, newest: Int64?) {
        vm.restoreTime(
            ofSource: batch.sourceIndex, newest: clock.newest, watermark: clock.watermark)
        let records = vm.scan(batch, partitions: true, times: findsTimes, floor: clock.floor)
        return (records, vm.newestTime(ofSource: batch.sourceIndex))
    }
}
