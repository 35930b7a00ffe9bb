internal import Definitions
internal import Queueing
internal import Synchronization
internal import Threads

/// The queues that have handlers, for whoever waits until they are empty. One thread.
struct HandlerQueues {
    private let run: PipelineRun
    private let store: PipelineStore
    private let names: Set<String>
    private var known: [QueueStatus] = []
    private var knownSince: UInt64 = 0
    private var hasTold = false

    /// After so long without any change it is said what is waited for, and after so long it is
    /// waited for no more, in nanoseconds.
    private static let quiet: UInt64 = 1_000_000_000
    private static let patience: UInt64 = 60_000_000_000

    init(_ run: PipelineRun, _ store: PipelineStore) {
        self.run = run
        self.store = store
        names = Set(run.plan.definition.handlers.map(\.queue))
    }

    /// True when there is nothing left in them, or nothing that comes soon; the latter is said.
    var areDone: Bool {
        mutating get {
            // A store that is closed gives nothing any more.
            guard let all = try? store.queues.status() else { return true }
            let status = all.filter { names.contains($0.name) }
            let isBusy = run.busyHandlers.load(ordering: .relaxed) > 0
            guard isBusy || status.contains(where: { $0.counts.size > 0 }) else { return true }
            let now = monotonicNanoseconds()
            let figures = status.map(Figures.init)
            if isBusy || figures != known.map(Figures.init) {
                known = status
                knownSince = now
                hasTold = false
                return false
            }
            guard now - knownSince >= Self.quiet else { return false }
            let wait = wait()
            let isOver = now - knownSince + (wait ?? .max / 2) >= Self.patience
            if !hasTold || isOver {
                let what = status.compactMap(Self.words).joined(separator: "; ")
                run.options.tell(
                    isOver
                        ? "warning: \(what); that is left for a later run\n"
                        : "waiting: \(what)\n")
            }
            hasTold = true
            return isOver
        }
    }

    /// What changes when something moves.
    private struct Figures: Hashable {
        var values: [Int]

        init(_ status: QueueStatus) {
            let counts = status.counts
            values = [
                counts.ready, counts.scheduled, counts.leased, counts.retrying,
                status.totals.delivered, status.isConsumePaused ? 1 : 0,
            ]
        }
    }

    /// How long until time does something by itself, in nanoseconds; nil when it never does.
    private func wait() -> UInt64? {
        guard let next = try? store.queues.advance() else { return nil }
        return UInt64(max(0, next - store.queues.now)) * 1000
    }

    /// What of a queue waits, and for what.
    private static func words(_ status: QueueStatus) -> String? {
        let counts = status.counts
        guard counts.size > 0 else { return nil }
        let parts = [
            (counts.ready, status.isConsumePaused ? "ready and paused" : "ready"),
            (counts.scheduled, "scheduled"), (counts.retrying, "waiting for a retry"),
            (counts.leased, "leased"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return "the queue \(status.name) has \(parts.joined(separator: ", "))"
    }
}
