internal import Connecting
internal import Definitions
internal import Records
internal import Scripting

/// Reads the event time of rows as the pipeline reads that of records. It has a VM of its own,
/// because a VM belongs to the thread that has made it.
final class VMRowClock: RowClock {
    let patienceMilliseconds: Int64
    private var vm: RuleVM
    private let batch = Batch()

    /// Nil when there can be no VM; the run could not have begun either.
    init?(_ plan: Plan, patience: Int64) {
        guard let vm = try? plan.makeVM(log: nil) else { return nil }
        self.vm = vm
        patienceMilliseconds = patience
    }

    func times(of rows: UnsafeRawBufferPointer) -> [Int64?] {
        batch.removeAll()
        unsafe batch.bytes.append(rows)
        let scan = vm.scan(batch, partitions: false, times: true)
        return scan.times.map { $0 == .min ? nil : $0 }
    }
}
