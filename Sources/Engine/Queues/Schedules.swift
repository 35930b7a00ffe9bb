internal import Connecting
internal import Definitions
internal import Queueing
internal import Records
internal import Synchronization
internal import Threads

/// Publishes the messages of schedules when their time has come.
///
/// The last tick of a schedule is kept in the transaction that publishes its message, so each tick
/// happens once, whatever crashes and whatever the clock does.
struct Schedules {
    private let run: PipelineRun
    private let store: PipelineStore
    private let committer: Committer
    private let definitions: [ScheduleDefinition]
    private var last: [String: Int64]
    /// When each schedule is to be looked at again.
    private var next: [String: Int64] = [:]
    private let pause = Channel<Void>(capacity: 1)
    /// How many ticks that were missed happen late at most, one after the other.
    private static let mostMissed = 100_000

    init(_ run: PipelineRun, _ store: PipelineStore, _ committer: Committer) {
        self.run = run
        self.store = store
        self.committer = committer
        definitions = run.plan.definition.schedules
        last = store.state.schedules
    }

    private var now: Int64 { store.queues.now / 1_000_000 }

    /// Publishes what is due, and waits until that is kept.
    mutating func publishDue() throws(PipelineError) {
        let now = now
        for definition in definitions {
            let name = definition.job.name
            // A schedule begins when it is seen for the first time.
            guard let before = last[name] else {
                keep(name, now, [])
                continue
            }
            guard next[name].map({ $0 <= now }) ?? true else { continue }
            guard try publishAll(of: definition, after: before, upTo: now) else { continue }
            // Ticks that are skipped need not be looked at again.
            last[name] = max(last[name] ?? before, now - 60)
            next[name] = definition.job.tick(after: now) ?? .max
        }
    }

    /// Publishes what is due of one schedule, step by step. False when some of it waits.
    private mutating func publishAll(
        of definition: ScheduleDefinition, after last: Int64, upTo now: Int64
    ) throws(PipelineError) -> Bool {
        var before = last
        var count = 0
        while true {
            let ticks = definition.job.ticks(after: before, upTo: now)
            if try !publish(ticks[...], of: definition) { return false }
            guard definition.job.missed == .all, let end = ticks.last else { return true }
            before = end
            count += ticks.count
            guard count >= Self.mostMissed else { continue }
            if let next = definition.job.tick(after: before), next <= now {
                let name = definition.job.name
                run.options.tell(
                    "warning: schedule \(name): more than \(Self.mostMissed) ticks were missed; "
                        + "the later ones are left out\n")
                keep(name, now, [])
            }
            return true
        }
    }

    /// Publishes ticks, many in one commit. False when some wait because a queue is full: that
    /// must not make the whole pipeline wait.
    private mutating func publish(
        _ ticks: ArraySlice<Int64>, of definition: ScheduleDefinition
    ) throws(PipelineError) -> Bool {
        var rest = ticks
        while !rest.isEmpty {
            var count = min(rest.count, 64)
            var routed: [CommitDraft.Routed] = []
            for tick in rest.prefix(count) { routed += try route(tick, of: definition) }
            if room(for: routed) < routed.count {
                count = 1
                routed = try route(rest[rest.startIndex], of: definition)
            }
            guard room(for: routed) >= routed.count else { return false }
            rest = rest.dropFirst(count)
            keep(definition.job.name, ticks[rest.startIndex - 1], routed)
        }
        return true
    }

    /// Commits messages with the tick that they belong to.
    private mutating func keep(_ name: String, _ tick: Int64, _ routed: [CommitDraft.Routed]) {
        last[name] = tick
        var draft = CommitDraft()
        draft.routed = routed
        var entry: [UInt8] = []
        StoreEntry.add(Array(name.utf8), Array("\(tick)".utf8), to: &entry)
        draft.others.append((.schedules, entry))
        committer.submitAndWait(draft)
    }

    /// How many messages fit into each of the queues.
    private func room(for routed: [CommitDraft.Routed]) -> Int {
        Set(routed.flatMap(\.queues)).map { store.queues.room(in: $0) }.min() ?? .max
    }

    /// The message of a tick with its queues; none when nobody wants it.
    private func route(
        _ tick: Int64, of definition: ScheduleDefinition
    ) throws(PipelineError) -> [CommitDraft.Routed] {
        let message = definition.job.message(at: tick)
        do throws(QueueError) {
            let target = try store.queues.target(definition.target, among: store.exchanges)
            let queues = try target.queues(for: message, topic: definition.topic)
            return [CommitDraft.Routed(message: message, queues: queues)]
        } catch {
            // A tick that nobody wants is no reason to stop the pipeline.
            guard error.code == .unroutable else {
                throw PipelineError(exitCode: 2, "\(definition.location): \(error)")
            }
            run.options.tell("warning: schedule \(definition.job.name): \(error)\n")
            return []
        }
    }

    /// The thread's whole life.
    mutating func main() {
        while !run.stopRequested.load(ordering: .relaxed), !run.isEnding {
            do { try publishDue() } catch { return run.fail(error) }
            _ = pause.receive(milliseconds: 50)
        }
    }
}
