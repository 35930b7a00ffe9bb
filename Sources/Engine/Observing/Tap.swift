internal import Connecting
public import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// What of a stage somebody wants to look at.
public enum TapPoint: Sendable, Hashable {
    /// What comes to it.
    case input
    /// What leaves it by its main output, or another one.
    case output(String?)
    /// The dead letters that it makes.
    case dead
}

/// Rows that pass a point of the running pipeline, for one who looks. Costs nothing while nobody
/// does: one more wire in the VMs that run the rules, for as long.
public final class Tap: Sendable {
    private struct Counts {
        var seen = 0
        var taken = 0
    }

    /// How many may look at a pipeline at a time.
    static let most = 8

    /// The output that it looks at.
    let origin: Origin
    private let rows = Channel<[UInt8]>(capacity: 1024)
    private let counts = Locked(Counts())
    private let isFull = Atomic<Bool>(false)
    /// Where rows would have been counted as dropped, since nobody else takes them.
    private let dropReason: String?

    /// When somebody looked for a row last, in nanoseconds.
    private let lastLook = Atomic<UInt64>(monotonicNanoseconds())
    private let resting = Atomic<Bool>(false)
    /// Called when it begins or ends to rest.
    private let changed: @Sendable () -> Void
    /// After so long without a look a full tap rests, in nanoseconds.
    private static let patience: UInt64 = 200_000_000

    init(_ origin: Origin, dropReason: String?, changed: @escaping @Sendable () -> Void) {
        self.origin = origin
        self.dropReason = dropReason
        self.changed = changed
    }

    /// True while it is full and nobody looks, so that rows need not be written for it.
    var isResting: Bool { resting.load(ordering: .relaxed) }

    /// The next row; nil when none came within the time, or the tap has ended.
    public func next(milliseconds: Int) -> [UInt8]? {
        let row = rows.receive(milliseconds: milliseconds)
        isFull.store(false, ordering: .relaxed)
        lastLook.store(monotonicNanoseconds(), ordering: .relaxed)
        if resting.exchange(false, ordering: .relaxed) { changed() }
        return row
    }

    /// True when there will be no more rows.
    public var isFinished: Bool { rows.isFinished }

    /// Rows that have passed, and those of them that could be taken.
    public var progress: (seen: Int, taken: Int) { counts.withLock { ($0.seen, $0.taken) } }

    /// Called by the thread that writes rows, which never waits here, and does not copy what there
    /// is no room for.
    func offer(_ given: UnsafeRawBufferPointer, count: Int) {
        var taken = 0
        if !isFull.load(ordering: .relaxed) {
            for row in unsafe lines(of: given) {
                guard rows.trySend(row) else {
                    isFull.store(true, ordering: .relaxed)
                    break
                }
                taken += 1
            }
        }
        counts.withLock {
            $0.seen += count
            $0.taken += taken
        }
        // Read before the clock, so that it is never later.
        let last = lastLook.load(ordering: .acquiring)
        guard isFull.load(ordering: .relaxed),
            monotonicNanoseconds() > last + Self.patience,
            !resting.exchange(true, ordering: .relaxed)
        else { return }
        changed()
    }

    /// What these rows would have been counted as.
    func drops(_ count: Int) -> RuleCounts? {
        guard let dropReason else { return nil }
        var counts = RuleCounts()
        counts.dropped[dropReason] = count
        return counts
    }

    func finish() { rows.close() }
}

/// The sink behind one of the points that are looked at, if somebody does.
final class TapSink: OutletSink {
    private let run: PipelineRun
    private let slot: Int

    init(_ run: PipelineRun, slot: Int) {
        self.run = run
        self.slot = slot
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        guard let (tap, isSecond) = run.looking.tap(at: slot) else { return }
        unsafe tap.offer(rows, count: count)
        guard !isSecond, let drops = tap.drops(count) else { return }
        run.shared.withLock { $0.counts.add(drops) }
    }

    func addEntries(to draft: inout CommitDraft) {}
    func finish() throws(ConnectorError) { run.looking.tap(at: slot)?.tap.finish() }
    func abandon() { run.looking.tap(at: slot)?.tap.finish() }
}

extension PipelineRun {
    /// The first sink behind all others, where taps are.
    var tapSink: Int { plan.definition.sinks.count + (opening == nil ? 0 : 1) }

    /// The index of a stage by its name; throws when there is none.
    func index(ofStage name: String) throws(PipelineError) -> Int {
        let stages = plan.definition.stages
        if let index = stages.firstIndex(where: { $0.name == name }) { return index }
        let hint = suggestion(for: name, among: stages.map(\.name))
        throw PipelineError(exitCode: 1, "there is no stage \"\(name)\"\(hint)")
    }

    /// Begins to look at a point of a stage; `endTap` ends it. Throws when there is no such stage,
    /// and while eight others look. Any thread but those of the run.
    public func beginTap(_ stage: String, _ point: TapPoint) throws(PipelineError) -> Tap {
        let index = try index(ofStage: stage)
        guard ring != nil else {
            throw PipelineError(
                exitCode: 1, "a run with --once is over too soon to be looked at; leave it out")
        }
        let origin: Origin
        switch point {
        case .input: origin = plan.definition.stages[index].from
        case .output(let name): origin = .stage(index, output: name)
        case .dead: origin = .deadLetters
        }
        let looking = looking
        let tap = Tap(origin, dropReason: dropReason(of: origin)) { looking.change { _ in } }
        guard looking.change({ $0.add(tap) }) else {
            throw PipelineError(
                exitCode: 1,
                "\(Tap.most) others have taps on this pipeline already; end one, or try again later"
            )
        }
        return tap
    }

    /// Ends the looking.
    public func endTap(_ tap: Tap) {
        looking.change { wishes in
            for place in wishes.taps.indices where wishes.taps[place] === tap {
                wishes.taps[place] = nil
            }
        }
        tap.finish()
    }

    /// As what rows are counted that leave by an output to which nothing is connected.
    private func dropReason(of origin: Origin) -> String? {
        guard case .stage(let index, let output) = origin,
            !plan.definition.stages.contains(where: { $0.from == origin }),
            !plan.definition.sinks.contains(where: { $0.from == origin })
        else { return nil }
        let stage = plan.definition.stages[index]
        // Nobody counts the rows of windows that nobody takes.
        if case .aggregate = stage.work { return nil }
        return "no sink for \(stage.name)" + (output.map { ".\($0)" } ?? "")
    }
}
