internal import CScripting

/// What a VM has counted since it was made.
public struct RuleCounts: Sendable {
    /// Records of the source, malformed ones too.
    public var read = 0
    /// Records that failed.
    public var deadLetters = 0
    /// Records that came in addition, by emit and lists.
    public var extra = 0
    /// Records of sources that failed, whatever timers did.
    public var failedRecords = 0
    /// Records of sources that rules dropped, with nothing left of them.
    public var droppedRecords = 0
    /// Keys in the keyed state.
    public var stateKeys = 0
    /// Bytes in the keyed state.
    public var stateBytes = 0
    /// Dropped records by reason.
    public var dropped: [String: Int] = [:]
    /// Failed records by stage.
    public var deadByStage: [String: Int] = [:]
    /// What rules have counted.
    public var metrics: [String: Double] = [:]

    /// Creates zero counts.
    public init() {}
}

extension RuleVM {
    /// The totals alone, cheap enough for every batch.
    public var totals: RuleCounts {
        let raw = unsafe tw_vm_counts(vm)
        var counts = RuleCounts()
        counts.read = Int(raw.read)
        counts.deadLetters = Int(raw.dead_letters)
        counts.extra = Int(Int64(bitPattern: raw.extra))
        counts.failedRecords = Int(raw.failed_records)
        counts.droppedRecords = Int(raw.dropped_records)
        counts.stateKeys = Int(raw.state_keys)
        counts.stateBytes = Int(raw.state_bytes)
        return counts
    }

    /// Everything, with the counts by name.
    public var counts: RuleCounts {
        let box = CountBox(totals)
        unsafe tw_vm_each_count(
            vm,
            { context, kind, name, value in
                guard let context = unsafe context, let name = unsafe name else { return }
                let box = unsafe Unmanaged<CountBox>.fromOpaque(context).takeUnretainedValue()
                unsafe box.add(Int(kind), String(cString: name), value)
            }, Unmanaged.passUnretained(box).toOpaque())
        return box.counts
    }

    /// Every name that a rule can reach, found by walking the environment.
    public var reachableNames: [String] {
        let box = CountBox(RuleCounts())
        unsafe tw_vm_each_reachable(
            vm,
            { context, _, name, _ in
                guard let context = unsafe context, let name = unsafe name else { return }
                let box = unsafe Unmanaged<CountBox>.fromOpaque(context).takeUnretainedValue()
                unsafe box.counts.metrics[String(cString: name)] = 1
            }, Unmanaged.passUnretained(box).toOpaque())
        return box.counts.metrics.keys.sorted()
    }
}

private final class CountBox {
    var counts: RuleCounts
    init(_ counts: RuleCounts) { self.counts = counts }

    func add(_ kind: Int, _ name: String, _ value: Double) {
        switch kind {
        case TW_COUNT_DROPPED: counts.dropped[name, default: 0] += Int(value)
        case TW_COUNT_DEAD: counts.deadByStage[name, default: 0] += Int(value)
        default: counts.metrics[name, default: 0] += value
        }
    }
}
