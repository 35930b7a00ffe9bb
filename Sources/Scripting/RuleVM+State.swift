internal import CScripting

/// One entry of the keyed state as it is after a change, for a journal.
public struct StateChange: Sendable, Hashable {
    /// What an entry is.
    public enum Kind: Int32, Sendable {
        /// A value under a key.
        case value = 0
        /// A timer under its name.
        case timer = 1
        /// The time by which values of the stage and partition expire.
        case clock = 2
    }

    /// What the entry is.
    public var kind: Kind
    /// The stage's name.
    public var stage: String
    /// The partition.
    public var partition: Int
    /// The key, or the timer's name.
    public var key: [UInt8]
    /// Opaque bytes, none of a timer or clock; nil when the entry is gone.
    public var value: [UInt8]?
    /// When a value expires, a timer fires, or what the clock shows, in milliseconds since 1970;
    /// `Int64.max`: never.
    public var expiry: Int64

    /// Creates a change from its parts.
    public init(
        kind: Kind, stage: String, partition: Int, key: [UInt8], value: [UInt8]?, expiry: Int64
    ) {
        self.kind = kind
        self.stage = stage
        self.partition = partition
        self.key = key
        self.value = value
        self.expiry = expiry
    }

    init?(_ raw: tw_state_change) {
        guard let kind = unsafe Kind(rawValue: raw.kind), let stage = unsafe raw.stage else {
            return nil
        }
        self.kind = kind
        self.stage = unsafe String(cString: stage)
        partition = unsafe Int(raw.partition)
        key = unsafe Array(UnsafeRawBufferPointer(start: raw.key, count: raw.key_length))
        value = unsafe raw.value.map {
            unsafe Array(UnsafeRawBufferPointer(start: $0, count: raw.value_length))
        }
        expiry = unsafe raw.expiry
    }
}

extension RuleVM {
    /// Tells the rules that event time has passed `watermark` (milliseconds since 1970; `Int64.max`
    /// at the end of the input): runs timers that are due and removes what has expired.
    ///
    /// What timers emit is appended to `outputs`, one per sink. Event time never goes back.
    public mutating func advance(
        to watermark: Int64, into outputs: [OutputBuffer], rows: [RowBuffer] = []
    ) throws(RuleError) {
        precondition(outputs.count >= sinkCount, "one output buffer per sink is needed")
        let sinks: [OpaquePointer?] = unsafe outputs.map { unsafe $0.buffer }
        let targets: [OpaquePointer?] = unsafe rows.map { unsafe $0.rows }
        let status = unsafe sinks.withUnsafeBufferPointer { sinks in
            unsafe targets.withUnsafeBufferPointer { targets in
                let rows = targets.isEmpty ? nil : targets.baseAddress
                return unsafe tw_vm_advance(vm, watermark, sinks.baseAddress, rows)
            }
        }
        guard status.code == 0 else { throw RuleError(status) }
    }

    /// Every entry of the keyed state that changed since the last call, once, as it is now.
    ///
    /// Needs the option `tracksChanges`; call it between two batches.
    public mutating func stateChanges() -> [StateChange] {
        let list = ChangeList()
        unsafe tw_vm_state_changes(
            vm,
            { context, change in
                guard let context = unsafe context, let change = unsafe change else { return }
                let list = unsafe Unmanaged<ChangeList>.fromOpaque(context).takeUnretainedValue()
                if let change = unsafe StateChange(change.pointee) { list.changes.append(change) }
            }, Unmanaged.passUnretained(list).toOpaque())
        return list.changes
    }

    /// Removes everything that has expired, so that counts hold what is left alone.
    public mutating func sweep() { unsafe tw_vm_sweep(vm) }

    /// The same as bytes for a journal, appended to `output`; `restore(encoded:)` reads them.
    public mutating func encodeStateChanges(into output: OutputBuffer) {
        unsafe tw_vm_state_encode(vm, output.buffer)
    }

    /// Puts back what `encodeStateChanges` wrote, as far as it belongs to the partitions of this
    /// worker, before the first record; throws for damaged bytes, and when there is no room.
    public mutating func restore(
        encoded: [UInt8], worker: Int, workers: Int
    ) throws(RuleError) {
        let status = unsafe encoded.withUnsafeBufferPointer {
            unsafe tw_vm_state_decode(
                vm, $0.baseAddress, $0.count, UInt32(worker), UInt32(workers))
        }
        guard status.code == 0 else { throw RuleError(status) }
    }

    /// Tells how far time has come before the next batch: the newest time of its source, and the
    /// watermark, both in milliseconds.
    public mutating func restoreTime(ofSource index: Int, newest: Int64?, watermark: Int64?) {
        unsafe tw_vm_restore_time(
            vm, UInt32(index), newest ?? Int64.min, watermark ?? Int64.min)
    }

    /// Puts an entry back as a change told it, after the stages were added and before the first
    /// record; throws for a stage that there is not, damaged bytes, and when there is no room.
    public mutating func restore(_ change: StateChange) throws(RuleError) {
        var raw = unsafe tw_state_change()
        unsafe raw.kind = change.kind.rawValue
        unsafe raw.partition = UInt32(change.partition)
        unsafe raw.expiry = change.expiry
        let stage = change.stage.utf8CString
        let status = unsafe stage.withUnsafeBufferPointer { stage in
            unsafe withCharacters(change.key) { key, keyCount in
                unsafe withCharacters(change.value ?? []) { value, valueCount in
                    unsafe raw.stage = stage.baseAddress
                    unsafe raw.key = key
                    unsafe raw.key_length = keyCount
                    unsafe raw.value = change.value == nil ? nil : value
                    unsafe raw.value_length = valueCount
                    return unsafe tw_vm_state_restore(vm, &raw)
                }
            }
        }
        guard status.code == 0 else { throw RuleError(status) }
    }
}

private final class ChangeList {
    var changes: [StateChange] = []
}
