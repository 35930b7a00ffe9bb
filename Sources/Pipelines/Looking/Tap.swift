internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

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
/// does: the rules are loaded once more with the point connected, and take over for as long.
public final class Tap: Sendable {
    private struct Counts {
        var seen = 0
        var taken = 0
    }

    private let rows = Channel<[UInt8]>(capacity: 1024)
    private let counts = Locked(Counts())
    private let stageName: String?

    init(deadOf stage: String?) { stageName = stage }

    /// The next row; nil when none came within the time, or the tap has ended.
    public func next(milliseconds: Int) -> [UInt8]? { rows.receive(milliseconds: milliseconds) }

    /// True when there will be no more rows.
    public var isFinished: Bool { rows.isFinished }

    /// Rows that have passed, and those of them that could be taken.
    public var progress: (seen: Int, taken: Int) { counts.withLock { ($0.seen, $0.taken) } }

    /// Called by the thread that writes rows, which never waits here.
    func offer(_ given: UnsafeRawBufferPointer) {
        for row in unsafe lines(of: given) {
            if let stageName {
                guard let letter = try? Record(json: row), letter["stage"]?.text == stageName
                else { continue }
            }
            let isTaken = rows.trySend(row)
            counts.withLock {
                $0.seen += 1
                $0.taken += isTaken ? 1 : 0
            }
        }
    }

    func finish() { rows.close() }
}

/// The sink behind the point that is looked at, if there is one.
final class TapSink: Sink {
    private let board: Locked<Tap?>

    init(_ board: Locked<Tap?>) { self.board = board }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        guard let tap = board.withLock({ $0 }) else { return }
        unsafe tap.offer(rows)
    }

    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) { board.withLock { $0 }?.finish() }
    func abandon() { board.withLock { $0 }?.finish() }
}

extension PipelineRun {
    /// True while somebody looks.
    var isTapped: Bool { tapBoard.withLock { $0 != nil } }

    /// Begins to look at a point of a stage; `endTap` ends it. Throws when there is no such stage,
    /// and while somebody else looks. Any thread but those of the run.
    public func beginTap(_ stage: String, _ point: TapPoint) throws(PipelineError) -> Tap {
        let stages = plan.definition.stages
        guard let index = stages.firstIndex(where: { $0.name == stage }) else {
            let hint = suggestion(for: stage, among: stages.map(\.name))
            throw PipelineError(exitCode: 1, "there is no stage \"\(stage)\"\(hint)")
        }
        guard ring != nil else {
            throw PipelineError(
                exitCode: 1, "a run with --once is over too soon to be looked at; leave it out")
        }
        let origin: Origin
        switch point {
        case .input: origin = stages[index].from
        case .output(let name): origin = .stage(index, output: name)
        case .dead: origin = .deadLetters
        }
        let tap = Tap(deadOf: point == .dead ? stage : nil)
        let isFree = tapBoard.withLock { board in
            guard board == nil else { return false }
            board = tap
            return true
        }
        guard isFree else {
            throw PipelineError(exitCode: 1, "somebody else is looking at this pipeline already")
        }
        do throws(RuleError) {
            var purpose = purpose
            purpose.tap = origin
            try swapIn(purpose)
        } catch {
            tapBoard.withLock { $0 = nil }
            throw PipelineError(exitCode: 1, "error: \(error)")
        }
        return tap
    }

    /// Ends the looking.
    public func endTap(_ tap: Tap) {
        swapBack()
        tapBoard.withLock { $0 = nil }
        tap.finish()
    }

    /// Runs the active rules in VMs that are made for something more.
    func swapIn(_ purpose: MachinePurpose) throws(RuleError) {
        let active = versions.wanted
        var boxes: [MachineBox] = []
        for _ in 0..<versions.threads {
            let log = log
            var vm = try active.plan.makeVM(for: purpose) { log.write(stage: $0, $1) }
            for (name, table) in lookups.current { vm.setLookup(name, to: table) }
            try vm.load()
            boxes.append(MachineBox(vm))
        }
        let version = LoadedVersion(
            active.plan, boxes, stateVersions: active.stateVersions, standsFor: active)
        versions.want(version)
        wait(for: version)
    }

    /// Goes back to the VMs of before, unless another version has taken over meanwhile.
    func swapBack() {
        guard let original = versions.wanted.original else { return }
        original.reset()
        versions.want(original)
        wait(for: original)
        versions.prune(keeping: [original])
    }

    private func wait(for version: LoadedVersion) {
        let pause = Channel<Void>(capacity: 1)
        while !version.isAdopted, !isOver, version.adoptionProblem == nil {
            _ = pause.receive(milliseconds: 1)
        }
    }
}
