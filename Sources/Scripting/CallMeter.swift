internal import CScripting

/// What one VM measures while somebody looks: calls by CPU time, and lines by samples. Its VM
/// writes it, any thread reads it.
@safe
public final class CallMeter: @unchecked Sendable {  // Counters are atomic, samples under a lock.
    let meter: OpaquePointer

    /// Creates a meter for so many stages.
    public init(stages: Int) { unsafe meter = tw_meter_create(stages) }

    deinit { unsafe tw_meter_release(meter) }

    /// What was counted of a stage so far.
    public func counts(ofStage stage: Int) -> CallCounts {
        var counts = CallCounts()
        let raw = unsafe counts.times.buckets.withUnsafeMutableBufferPointer {
            unsafe tw_meter_read(meter, stage, $0.baseAddress)
        }
        counts.records = Int(raw.records)
        counts.calls = Int(raw.calls)
        counts.dropped = Int(raw.dropped)
        counts.errors = Int(raw.errors)
        counts.nanoseconds = Int(raw.nanoseconds)
        return counts
    }

    /// Counts rows that came to the windows of a stage.
    public func noteRows(_ count: Int, stage: Int) {
        unsafe tw_meter_note_rows(meter, stage, UInt64(count))
    }

    /// All stacks that were seen.
    public var samples: [CallSample] {
        let list = SampleList()
        unsafe tw_meter_each_sample(
            meter,
            { context, stage, stack, length, samples, ticks in
                guard let context = unsafe context, let stack = unsafe stack else { return }
                let list = unsafe Unmanaged<SampleList>.fromOpaque(context).takeUnretainedValue()
                let bytes = unsafe UnsafeRawBufferPointer(start: stack, count: length)
                unsafe list.samples.append(
                    CallSample(
                        stage: stage, stack: String(decoding: bytes, as: UTF8.self),
                        samples: Int(samples), ticks: Int(ticks)))
            }, Unmanaged.passUnretained(list).toOpaque())
        return list.samples
    }
}

private final class SampleList {
    var samples: [CallSample] = []
}

/// How often a line ran, and by which calls it was reached.
public struct CallSample: Sendable, Hashable {
    /// The stage whose rule it was.
    public var stage: Int
    /// `rules/x.lua:3;helper (rules/lib/y.lua:7)`, from the outermost call to the line.
    public var stack: String
    /// Samples by instructions of Lua.
    public var samples: Int
    /// Samples by CPU time.
    public var ticks: Int

    /// Creates one.
    public init(stage: Int, stack: String, samples: Int, ticks: Int) {
        self.stage = stage
        self.stack = stack
        self.samples = samples
        self.ticks = ticks
    }

    /// The line that ran: `rules/lib/y.lua:7`.
    public var line: String {
        guard let leaf = stack.split(separator: ";").last else { return "" }
        guard let open = leaf.lastIndex(of: "("), leaf.hasSuffix(")") else { return String(leaf) }
        let place = leaf[leaf.index(after: open)...].dropLast()
        return place.isEmpty || open == leaf.startIndex ? String(leaf) : String(place)
    }
}

/// What was counted of the calls of one stage.
public struct CallCounts: Sendable, Hashable {
    /// Records that came.
    public var records = 0
    /// Calls of its rule, also of on_timer and aggregates.
    public var calls = 0
    /// Records that the rule dropped.
    public var dropped = 0
    /// Records that became dead letters here.
    public var errors = 0
    /// The CPU time of all calls.
    public var nanoseconds = 0
    /// The CPU time of each.
    public var times = CallTimes()

    /// Creates zero counts.
    public init() {}

    /// Adds those of another VM.
    public static func += (left: inout CallCounts, right: CallCounts) {
        left.combine(right, &+)
    }

    /// What came in addition since `right`.
    public static func - (left: CallCounts, right: CallCounts) -> CallCounts {
        var result = left
        result.combine(right, &-)
        return result
    }

    private mutating func combine(_ other: CallCounts, _ operation: (Int, Int) -> Int) {
        records = operation(records, other.records)
        calls = operation(calls, other.calls)
        dropped = operation(dropped, other.dropped)
        errors = operation(errors, other.errors)
        nanoseconds = operation(nanoseconds, other.nanoseconds)
        for index in times.buckets.indices {
            let sum = operation(Int(times.buckets[index]), Int(other.times.buckets[index]))
            times.buckets[index] = UInt64(max(0, sum))
        }
    }
}

/// The CPU times of calls in a fixed histogram: 16 buckets for each doubling, as in HdrHistogram
/// (Tene), so that what it tells is at most a thirty-second wrong.
public struct CallTimes: Sendable, Hashable {
    /// How many calls there were in each bucket.
    public var buckets = [UInt64](repeating: 0, count: Int(TW_METER_BUCKETS))

    /// Creates an empty histogram.
    public init() {}

    /// Counts a call.
    public mutating func note(nanoseconds: UInt64) { buckets[tw_meter_bucket(nanoseconds)] += 1 }

    /// The nanoseconds that a share of the calls stayed below (the nearest rank, the middle of its
    /// bucket); nil when there were none.
    public func percentile(_ share: Double) -> Double? {
        let total = buckets.reduce(0, +)
        guard total > 0 else { return nil }
        let rank = max(1, UInt64((share * Double(total)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, count) in buckets.enumerated() {
            seen += count
            if seen >= rank { return Self.middle(of: index) }
        }
        return nil
    }

    /// The longest call.
    public var longest: Double? { percentile(1) }

    private static func middle(of bucket: Int) -> Double {
        let start = tw_meter_bucket_start(bucket)
        let end = tw_meter_bucket_start(bucket + 1)
        return Double(start) + Double(end - start - 1) / 2
    }
}

extension RuleVM {
    /// From now on the calls are measured, between two batches; nil: no more. With `profiles`
    /// samples are taken by instructions as well, which costs a hook.
    public mutating func measure(with meter: CallMeter?, profiles: Bool = false) {
        unsafe tw_vm_measure(vm, meter?.meter, profiles)
    }

    /// Lets sinks see outputs as well, between two batches, and no others than these. They are
    /// numbered from `first` on, behind all sinks of the VM; those without an output get nothing.
    public mutating func tap(_ origins: [RuleWire?], first: Int) {
        unsafe tw_vm_end_taps(vm)
        for (place, origin) in origins.enumerated() {
            let sink = Int32(first + place)
            switch origin {
            case nil: break
            case .source: unsafe tw_vm_tap(vm, Int32(TW_SOURCE), nil, sink)
            case .deadLetters: unsafe tw_vm_tap(vm, Int32(TW_DEAD_LETTERS), nil, sink)
            case .stage(let stage, let output): unsafe tw_vm_tap(vm, Int32(stage), output, sink)
            }
        }
        // What nobody looks at costs nothing with each record.
        setSinkCount(first + (origins.lastIndex { $0 != nil } ?? -1) + 1)
    }
}
