internal import CScripting
public import Records

/// What a VM may take, and how it behaves.
public struct RuleVMOptions: Sendable {
    /// Bytes for scripts, and again for records and their changes.
    public var scriptMemory = 64 << 20
    /// Bytes of one record.
    public var recordLimit = 16 << 20
    /// Nesting of one record.
    public var depthLimit = 1000
    /// Bytes of rows that one record may become, for each sink.
    public var emittedLimit = 64 << 20
    /// Bytes of all keyed state in this VM.
    public var stateMemory = 4 << 30
    /// The field that chooses the partition.
    public var key: String?
    /// How many partitions there are.
    public var partitions = 16
    /// How records tell their event time; nil: they do not.
    public var time: RuleTime?
    /// The version of the rule set.
    public var ruleSet = ""
    /// Re-run a failing record to tell the values at each line.
    public var trace = true
    /// A fixed clock in milliseconds since 1970, for tests; nil: the real one.
    public var now: Int64?
    /// `snooze` may be returned: the records are messages that can be given back.
    public var allowsSnooze = false
    /// Note what `stateChanges` will tell.
    public var tracksChanges = false
    /// Takes what rules log: stage and text.
    public var log: (@Sendable (String, String) -> Void)?

    /// Creates the default options.
    public init() {}
}

/// Where records come from and go to inside a VM.
public enum RuleWire: Sendable {
    /// The pipeline's source.
    case source
    /// The dead letters.
    case deadLetters
    /// An output of a stage; nil is the main one.
    case stage(Int, output: String?)
}

/// What a native stage decides; the counterpart of what `process` returns.
public enum NativeVerdict: Sendable {
    /// It goes on as it is.
    case pass
    /// This JSON text goes on instead.
    case replace([UInt8])
    /// It ends here, counted under the reason.
    case drop(String)
    /// It becomes a dead letter.
    case reject(String)
    /// It goes to the stage's output of this name.
    case route(String)
}

/// A stage written in Swift: reads the record's JSON text, on the worker's thread.
public typealias NativeStage = @Sendable (UnsafeRawBufferPointer) -> NativeVerdict

/// One Lua state with all stages of a rule set; belongs to the thread that creates it.
@safe
public struct RuleVM: ~Copyable {
    let vm: OpaquePointer
    private let log: LogBox?
    var hooks: [(stage: Int, box: HookBox)] = []
    private var boxes: [NativeBox] = []
    private var schemas: [Schema] = []
    private(set) var sinkCount = 0

    /// Creates an empty VM on the calling thread.
    public init(_ options: RuleVMOptions) throws(RuleError) {
        var config = unsafe tw_vm_config()
        unsafe config.script_memory = options.scriptMemory
        unsafe config.record_limit = options.recordLimit
        unsafe config.depth_limit = UInt32(options.depthLimit)
        unsafe config.emitted_limit = options.emittedLimit
        unsafe config.state_memory = options.stateMemory
        unsafe config.partitions = UInt32(options.partitions)
        unsafe config.trace = options.trace
        unsafe config.track_changes = options.tracksChanges
        unsafe config.allows_snooze = options.allowsSnooze
        unsafe config.now_milliseconds = options.now ?? 0
        log = options.log.map(LogBox.init)
        if let log {
            unsafe config.log_context = Unmanaged.passUnretained(log).toOpaque()
            unsafe config.log = { context, stage, text, length in
                guard let context = unsafe context, let stage = unsafe stage,
                    let text = unsafe text
                else { return }
                let box = unsafe Unmanaged<LogBox>.fromOpaque(context).takeUnretainedValue()
                let bytes = unsafe UnsafeRawBufferPointer(start: text, count: length)
                unsafe box.take(String(cString: stage), String(decoding: bytes, as: UTF8.self))
            }
        }
        var status = tw_status()
        let key = (options.key ?? "").utf8CString
        let ruleSet = options.ruleSet.utf8CString
        func create() -> OpaquePointer? {
            unsafe key.withUnsafeBufferPointer { keyBytes in
                unsafe ruleSet.withUnsafeBufferPointer { versionBytes in
                    unsafe config.key = keyBytes.baseAddress
                    unsafe config.rule_set = versionBytes.baseAddress
                    return unsafe tw_vm_create(&config, &status)
                }
            }
        }
        let created =
            unsafe options.time?.withConfiguration { time in
                unsafe config.time = unsafe time
                return unsafe create()
            } ?? (options.time == nil ? create() : nil)
        guard let created = unsafe created else { throw RuleError(status) }
        unsafe vm = created
    }

    deinit { unsafe tw_vm_destroy(vm) }

    /// Adds a module for `require`, before the VM is loaded.
    public mutating func addModule(name: String, file: String, text: [UInt8]) {
        unsafe withCharacters(text) { unsafe tw_vm_add_module(vm, name, file, $0, $1) }
    }

    /// Adds a stage that checks a schema, then runs a script, then a closure, as far as given.
    public mutating func addStage(
        name: String, schema: Schema?, script: RuleSet.File?, native: NativeStage?,
        budgetNanoseconds: Int64
    ) -> Int {
        if let schema { schemas.append(schema) }
        var context: UnsafeMutableRawPointer?
        if let native = unsafe native {
            let box = unsafe NativeBox(native)
            boxes.append(box)
            unsafe context = Unmanaged.passUnretained(box).toOpaque()
        }
        let handle = unsafe schema?.schema
        let schemaFile = schema?.file ?? ""
        let trampoline: tw_native? = unsafe native == nil ? nil : runNative
        guard let script else {
            return unsafe Int(
                tw_vm_add_stage(
                    vm, name, handle, schemaFile, nil, nil, 0, trampoline, context,
                    budgetNanoseconds))
        }
        return unsafe withCharacters(script.bytes) { text, count in
            unsafe Int(
                tw_vm_add_stage(
                    vm, name, handle, schemaFile, script.path, text, count, trampoline, context,
                    budgetNanoseconds))
        }
    }

    /// Connects an output to a stage or a sink.
    public mutating func connect(_ origin: RuleWire, toStage stage: Int) {
        connect(origin, kind: Int32(TW_TO_STAGE), target: stage)
    }

    /// Connects an output to a sink.
    public mutating func connect(_ origin: RuleWire, toSink sink: Int) {
        connect(origin, kind: Int32(TW_TO_SINK), target: sink)
    }

    private func connect(_ origin: RuleWire, kind: Int32, target: Int) {
        switch origin {
        case .source: unsafe tw_vm_add_wire(vm, Int32(TW_SOURCE), nil, kind, Int32(target))
        case .deadLetters:
            unsafe tw_vm_add_wire(vm, Int32(TW_DEAD_LETTERS), nil, kind, Int32(target))
        case .stage(let stage, output: nil):
            unsafe tw_vm_add_wire(vm, Int32(stage), nil, kind, Int32(target))
        case .stage(let stage, .some(let output)):
            unsafe tw_vm_add_wire(vm, Int32(stage), output, kind, Int32(target))
        }
    }

    /// Says how many sinks there are.
    public mutating func setSinkCount(_ count: Int) {
        sinkCount = count
        unsafe tw_vm_set_sink_count(vm, UInt32(count))
    }

    /// Makes a table known to `lookup`, replacing the one of that name.
    public mutating func setLookup(_ name: String, to lookup: Lookup) {
        unsafe tw_vm_set_lookup(vm, name, lookup.table)
    }

    /// Compiles and runs every script once; throws with file and line.
    public mutating func load() throws(RuleError) {
        let status = unsafe tw_vm_load(vm)
        guard status.code == 0 else { throw RuleError(status) }
    }

    /// True when a rule mentions `state`, so that it matters which partition a record is in.
    public var usesState: Bool { unsafe tw_vm_uses_state(vm) }

    /// Runs a batch; rows are appended to `outputs` (one per sink) and `rows` (one per aggregate).
    ///
    /// With partitions in `scan`, only the records of this worker are processed. `floor` is the
    /// newest time of the slowest other source, if there are others.
    public mutating func run(
        _ batch: Batch, into outputs: [OutputBuffer], rows: [RowBuffer] = [],
        scan: RecordScan = RecordScan(), worker: Int = 0, workers: Int = 1, floor: Int64? = nil
    ) throws(RuleError) {
        var slice = BatchSlice()
        try run(
            batch, &slice, into: outputs, rows: rows, scan: scan, worker: worker, workers: workers,
            floor: floor)
    }

    /// Runs a part of a batch: from where `slice` stands as far as its bounds allow, always up to
    /// between two records.
    public mutating func run(
        _ batch: Batch, _ slice: inout BatchSlice, into outputs: [OutputBuffer],
        rows: [RowBuffer] = [], scan: RecordScan = RecordScan(), worker: Int = 0, workers: Int = 1,
        floor: Int64? = nil
    ) throws(RuleError) {
        precondition(outputs.count >= sinkCount, "one output buffer per sink is needed")
        let sinks: [OpaquePointer?] = unsafe outputs.map { unsafe $0.buffer }
        let targets: [OpaquePointer?] = unsafe rows.map { unsafe $0.rows }
        let status = unsafe withBatch(batch) { pointer in
            unsafe pointer.pointee.worker = UInt16(worker)
            unsafe pointer.pointee.workers = UInt16(workers)
            unsafe pointer.pointee.has_floor = floor != nil
            unsafe pointer.pointee.floor = floor ?? 0
            return unsafe withScan(scan, pointer) {
                unsafe sinks.withUnsafeBufferPointer { sinks in
                    unsafe targets.withUnsafeBufferPointer { targets in
                        let rows = targets.isEmpty ? nil : targets.baseAddress
                        return unsafe tw_vm_run(
                            vm, pointer, &slice.raw, sinks.baseAddress, rows)
                    }
                }
            }
        }
        guard status.code == 0 else { throw RuleError(status) }
    }

    private func withScan<Result>(
        _ scan: RecordScan, _ batch: UnsafeMutablePointer<tw_batch>, _ body: () -> Result
    ) -> Result {
        unsafe scan.partitions.withUnsafeBufferPointer { owners in
            unsafe scan.times.withUnsafeBufferPointer { times in
                unsafe scan.watermarks.withUnsafeBufferPointer { watermarks in
                    if !scan.partitions.isEmpty {
                        unsafe batch.pointee.partitions = owners.baseAddress
                    }
                    if !scan.times.isEmpty {
                        unsafe batch.pointee.times = times.baseAddress
                        unsafe batch.pointee.watermarks = watermarks.baseAddress
                        unsafe batch.pointee.end_watermark = scan.endWatermark
                    }
                    return body()
                }
            }
        }
    }

    func withBatch<Result>(
        _ batch: Batch, _ body: (UnsafeMutablePointer<tw_batch>) -> Result
    ) -> Result {
        let entries = batch.entries.map { tw_entry($0) }
        var raw = unsafe tw_batch()
        unsafe raw.position = batch.position
        unsafe raw.line = batch.line
        unsafe raw.source_index = UInt32(batch.sourceIndex)
        let source = batch.source.utf8CString
        let file = batch.file.utf8CString
        return unsafe batch.bytes.withUnsafeBytes { bytes in
            unsafe batch.originals.withUnsafeBytes { originals in
                unsafe entries.withUnsafeBufferPointer { list in
                    unsafe source.withUnsafeBufferPointer { sourceName in
                        unsafe file.withUnsafeBufferPointer { fileName in
                            unsafe raw.bytes = bytes.baseAddress?.assumingMemoryBound(
                                to: UInt8.self)
                            unsafe raw.length = bytes.count
                            unsafe raw.originals = originals.baseAddress?.assumingMemoryBound(
                                to: UInt8.self)
                            unsafe raw.originals_length = originals.count
                            unsafe raw.entries = list.baseAddress
                            unsafe raw.entry_count = list.count
                            unsafe raw.source = sourceName.baseAddress
                            unsafe raw.file = fileName.baseAddress
                            return unsafe body(&raw)
                        }
                    }
                }
            }
        }
    }
}

extension tw_entry {
    fileprivate init(_ entry: Batch.Entry) {
        self.init(
            offset: UInt32(entry.text.lowerBound), length: UInt32(entry.text.count),
            original_offset: UInt32(entry.original.lowerBound),
            original_length: UInt32(entry.original.count),
            problem_offset: UInt32(entry.problem.lowerBound),
            problem_length: UInt32(entry.problem.count), position: entry.position,
            line: entry.line, original_full_length: entry.originalLength,
            id_offset: UInt32(entry.id.lowerBound), id_length: UInt32(entry.id.count),
            headers_offset: UInt32(entry.headers.lowerBound),
            headers_length: UInt32(entry.headers.count), attempt: UInt32(entry.attempt),
            is_continued: entry.isContinued)
    }
}

private final class LogBox {
    let take: @Sendable (String, String) -> Void
    init(_ take: @escaping @Sendable (String, String) -> Void) { self.take = take }
}

@safe
private final class NativeBox {
    let stage: NativeStage
    init(_ stage: @escaping NativeStage) { unsafe self.stage = stage }
}

/// The C side calls this for a stage written in Swift; nothing here may raise or call back.
private let runNative: tw_native = { context, record, length, verdict in
    guard let context = unsafe context else { return }
    let box = unsafe Unmanaged<NativeBox>.fromOpaque(context).takeUnretainedValue()
    let result = unsafe box.stage(UnsafeRawBufferPointer(start: record, count: length))
    func set(_ action: Int, _ bytes: [UInt8]) {
        unsafe withCharacters(bytes) { unsafe tw_verdict_set(verdict, Int32(action), $0, $1) }
    }
    switch result {
    case .pass: break
    case .replace(let text): set(Int(TW_REPLACE), text)
    case .drop(let reason): set(Int(TW_DROP), Array(reason.utf8))
    case .reject(let reason): set(Int(TW_REJECT), Array(reason.utf8))
    case .route(let output): set(Int(TW_ROUTE), Array(output.utf8))
    }
}

/// True when a script mentions `state`, so that it matters which records it sees.
public func scriptUsesState(_ text: [UInt8]) -> Bool {
    unsafe withCharacters(text) { unsafe tw_script_uses_state($0, $1) }
}
