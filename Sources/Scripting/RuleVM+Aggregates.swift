internal import CScripting
internal import Glibc
public import Records

/// Why a call into a rule file has failed.
public struct RuleFailure: Error, Sendable, Hashable {
    /// The message, with file and line.
    public var message: String
    /// The file.
    public var file: String
    /// The line in it, or 0.
    public var line: Int
    /// It ran out of time or memory.
    public var isBreach = false

    /// Creates a failure.
    public init(message: String, file: String = "", line: Int = 0) {
        self.message = message
        self.file = file
        self.line = line
    }
}

/// What an aggregate stage reads of a record.
public struct RuleColumn: Sendable {
    /// The field; dots lead into nested objects.
    public var field: String
    /// 0 for any value, 1 for a scalar, 2 for a number.
    public var requirement: UInt32
    /// Whether the digits of numbers are needed.
    public var needsText: Bool

    /// Creates a column.
    public init(field: String, requirement: UInt32, needsText: Bool) {
        self.field = field
        self.requirement = requirement
        self.needsText = needsText
    }
}

/// Takes part in the transaction of a record that reaches an aggregate stage.
public protocol AggregateHook: AnyObject {
    /// Looks at a row; what it returns makes the record a dead letter.
    func prepare(_ rows: RowsView, row: Int) -> RuleFailure?
    /// Tells what became of the record whose rows were prepared.
    func settle(committed: Bool)
}

final class HookBox {
    let hook: any AggregateHook
    init(_ hook: any AggregateHook) { self.hook = hook }
}

extension RuleVM {
    /// Makes a stage an aggregate one; returns its place among them.
    public mutating func addAggregate(
        stage: Int, keys: [String], columns: [RuleColumn], needsRecord: Bool,
        hook: (any AggregateHook)?
    ) -> Int {
        var config = unsafe tw_aggregate_config()
        unsafe config.needs_record = needsRecord
        if let hook {
            let box = HookBox(hook)
            hooks.append((stage, box))
            unsafe config.context = Unmanaged.passUnretained(box).toOpaque()
            unsafe config.prepare = prepareRow
            unsafe config.settle = settleRecord
        }
        let names = unsafe keys.map { unsafe UnsafePointer(strdup($0)) }
        let fields = unsafe columns.map { unsafe UnsafePointer(strdup($0.field)) }
        defer {
            unsafe (names + fields).forEach { unsafe free(UnsafeMutableRawPointer(mutating: $0)) }
        }
        let list = unsafe zip(fields, columns).map { field, column in
            unsafe tw_column(
                field: field, requirement: column.requirement, needs_text: column.needsText)
        }
        return unsafe names.withUnsafeBufferPointer { names in
            unsafe list.withUnsafeBufferPointer { list in
                unsafe config.keys = names.baseAddress
                unsafe config.key_count = names.count
                unsafe config.columns = list.baseAddress
                unsafe config.column_count = list.count
                return unsafe Int(tw_vm_set_aggregate(vm, Int32(stage), &config))
            }
        }
    }

    /// Changes what a call of a stage may take, in CPU nanoseconds; returns what it was.
    public func setBudget(ofStage stage: Int, nanoseconds: Int64) -> Int64 {
        unsafe tw_vm_set_budget(vm, Int32(stage), nanoseconds)
    }

    /// The hook of an aggregate stage.
    public func hook(of stage: Int) -> (any AggregateHook)? {
        hooks.first { $0.stage == stage }?.box.hook
    }

    /// Adds an aggregate in Lua to a stage, before the load; returns its index in the VM.
    public mutating func addUserAggregate(stage: Int, file: RuleSet.File) -> Int {
        unsafe withCharacters(file.bytes) { text, count in
            unsafe Int(tw_vm_add_user_aggregate(vm, Int32(stage), file.path, text, count))
        }
    }

    /// Calls aggregates in Lua, also while a batch is running on this thread.
    public var aggregateCaller: AggregateCaller { unsafe AggregateCaller(vm) }

    /// The watermark after everything that was run; nil when there is none.
    public var watermark: Int64? {
        let value = unsafe tw_vm_watermark(vm)
        return value == Int64.min ? nil : value
    }

    /// The newest time of a source so far; nil when it had none.
    public func newestTime(ofSource index: Int) -> Int64? {
        let value = unsafe tw_vm_newest(vm, UInt32(index))
        return value == Int64.min ? nil : value
    }

    /// True when an output leads anywhere.
    public func isConnected(stage: Int, output: String?) -> Bool {
        guard let output else { return unsafe tw_vm_is_connected(vm, Int32(stage), nil) }
        return unsafe tw_vm_is_connected(vm, Int32(stage), output)
    }

    /// Lets rows go on as if they left `stage` by `output`; `batch` has an entry for each.
    ///
    /// - Parameter ordinals: where each row stands among those of all lanes, which makes the marks
    ///   of what comes of it; none when nobody else has any. With them no timer fires.
    public mutating func inject(
        _ batch: Batch, stage: Int, output: String?, times: [Int64], watermarks: [Int64],
        ordinals: [UInt32] = [], into outputs: [OutputBuffer], rows: [RowBuffer]
    ) throws(RuleError) {
        let status = unsafe withBatch(batch) { pointer in
            unsafe times.withUnsafeBufferPointer { times in
                unsafe watermarks.withUnsafeBufferPointer { watermarks in
                    unsafe ordinals.withUnsafeBufferPointer { ordinals in
                        unsafe pointer.pointee.times = times.baseAddress
                        unsafe pointer.pointee.watermarks = watermarks.baseAddress
                        unsafe pointer.pointee.ordinals =
                            ordinals.isEmpty ? nil : ordinals.baseAddress
                        return unsafe inject(pointer, Int32(stage), output, outputs, rows)
                    }
                }
            }
        }
        guard status.code == 0 else { throw RuleError(status) }
    }

    private func inject(
        _ batch: UnsafePointer<tw_batch>, _ stage: Int32, _ output: String?,
        _ outputs: [OutputBuffer], _ rows: [RowBuffer]
    ) -> tw_status {
        let sinks: [OpaquePointer?] = unsafe outputs.map { unsafe $0.buffer }
        let targets: [OpaquePointer?] = unsafe rows.map { unsafe $0.rows }
        return unsafe sinks.withUnsafeBufferPointer { sinks in
            unsafe targets.withUnsafeBufferPointer { targets in
                guard let output else {
                    return unsafe tw_vm_inject(
                        vm, stage, nil, batch, sinks.baseAddress, targets.baseAddress)
                }
                return unsafe tw_vm_inject(
                    vm, stage, output, batch, sinks.baseAddress, targets.baseAddress)
            }
        }
    }

    /// Makes `original` a dead letter of a stage, with the id `SOURCE:POSITION`.
    public mutating func reject(
        stage: Int, source: String, failure: RuleFailure, original: [UInt8], position: UInt64,
        into outputs: [OutputBuffer], rows: [RowBuffer]
    ) {
        let sinks: [OpaquePointer?] = unsafe outputs.map { unsafe $0.buffer }
        let targets: [OpaquePointer?] = unsafe rows.map { unsafe $0.rows }
        var raw = tw_failure()
        fill(&raw, failure)
        unsafe withCharacters(original) { text, count in
            unsafe sinks.withUnsafeBufferPointer { sinks in
                unsafe targets.withUnsafeBufferPointer { targets in
                    unsafe tw_vm_reject(
                        vm, Int32(stage), source, "error", &raw, text, count, position,
                        sinks.baseAddress, targets.baseAddress)
                }
            }
        }
    }

    /// Makes a dead letter of kind `refused` of a row that a sink will never take.
    public mutating func reject(
        sink: String, reason: String, row: [UInt8], position: UInt64,
        into outputs: [OutputBuffer], rows: [RowBuffer]
    ) {
        let sinks: [OpaquePointer?] = unsafe outputs.map { unsafe $0.buffer }
        let targets: [OpaquePointer?] = unsafe rows.map { unsafe $0.rows }
        unsafe withCharacters(row) { text, count in
            unsafe sinks.withUnsafeBufferPointer { sinks in
                unsafe targets.withUnsafeBufferPointer { targets in
                    unsafe tw_vm_refuse(
                        vm, sink, reason, text, count, position, sinks.baseAddress,
                        targets.isEmpty ? nil : targets.baseAddress)
                }
            }
        }
    }

    /// What several workers must agree on: partition, time and watermark of each record.
    public mutating func scan(
        _ batch: Batch, partitions: Bool, times: Bool, floor: Int64? = nil
    ) -> RecordScan {
        let upper = max(batch.bytes.count / 2 + 1, batch.entries.count)
        var scan = RecordScan()
        if partitions { scan.partitions = Array(repeating: 0, count: upper) }
        if times {
            scan.times = Array(repeating: 0, count: upper)
            scan.watermarks = scan.times
        }
        let count = unsafe withBatch(batch) { pointer in
            unsafe pointer.pointee.has_floor = floor != nil
            unsafe pointer.pointee.floor = floor ?? 0
            return unsafe scan.partitions.withUnsafeMutableBufferPointer { owners in
                unsafe scan.times.withUnsafeMutableBufferPointer { moments in
                    unsafe scan.watermarks.withUnsafeMutableBufferPointer { marks in
                        unsafe tw_vm_scan(
                            vm, pointer, partitions ? owners.baseAddress : nil,
                            times ? moments.baseAddress : nil, times ? marks.baseAddress : nil,
                            upper)
                    }
                }
            }
        }
        if partitions { scan.partitions.removeSubrange(count...) }
        if times {
            scan.times.removeSubrange(count...)
            scan.watermarks.removeSubrange(count...)
            scan.endWatermark = watermark ?? Int64.min
        }
        return scan
    }
}

/// What is decided about the records of a batch before workers part.
public struct RecordScan: Sendable {
    /// The partition of each record; empty when nobody asked.
    public var partitions: [UInt16] = []
    /// The event time of each record, `Int64.min` where it has none; empty when nobody asked.
    public var times: [Int64] = []
    /// The watermark before each record.
    public var watermarks: [Int64] = []
    /// The watermark behind the last record; `Int64.min` when there is none.
    public var endWatermark = Int64.min

    /// Creates an empty scan.
    public init() {}
}

private func fill(_ raw: inout tw_failure, _ failure: RuleFailure) {
    unsafe withUnsafeMutableBytes(of: &raw.message) {
        unsafe copy(failure.message, into: $0)
    }
    unsafe withUnsafeMutableBytes(of: &raw.file) { unsafe copy(failure.file, into: $0) }
    raw.line = Int32(clamping: failure.line)
}

private func copy(_ text: String, into buffer: UnsafeMutableRawBufferPointer) {
    for (index, byte) in text.utf8.prefix(buffer.count - 1).enumerated() {
        unsafe buffer[index] = byte
    }
}

/// The C side calls this for each row of an aggregate stage that has aggregates in Lua.
private let prepareRow:
    @convention(c) (
        UnsafeMutableRawPointer?, OpaquePointer?, Int, UnsafeMutablePointer<tw_failure>?
    ) -> Bool = { context, rows, row, failure in
        guard let context = unsafe context, let rows = unsafe rows, let failure = unsafe failure
        else { return true }
        let box = unsafe Unmanaged<HookBox>.fromOpaque(context).takeUnretainedValue()
        let view = unsafe RowsView(tw_rows_look(rows))
        guard let problem = box.hook.prepare(view, row: row) else { return true }
        unsafe fill(&failure.pointee, problem)
        return false
    }

private let settleRecord: @convention(c) (UnsafeMutableRawPointer?, Bool) -> Void = {
    context, committed in
    guard let context = unsafe context else { return }
    let box = unsafe Unmanaged<HookBox>.fromOpaque(context).takeUnretainedValue()
    box.hook.settle(committed: committed)
}
