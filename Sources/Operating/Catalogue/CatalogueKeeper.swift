package import Engine
internal import Glibc
internal import Journal
internal import Queueing
internal import Records
internal import Threads

/// Keeps the catalogue of a running pipeline up to date, behind its back.
///
/// Every few seconds a thread looks whether dead letters, runs, versions or audit have changed,
/// which takes microseconds. If so, another one of the lowest priority writes what is new. Records
/// and commits never wait for it, and what goes wrong is told once and tried again.
package final class CatalogueKeeper: Sendable {
    /// What is another one whenever a table may be.
    private struct Signature: Sendable, Equatable {
        struct Queue: Sendable, Equatable {
            var counts: QueueCounts
            var totals: QueueTotals
        }

        var queues: [String: Queue] = [:]
        var versions: [VersionRow] = []
    }

    private struct State: Sendable {
        var known: Signature?
        /// What was told last of what went wrong.
        var told: String?
        var period: UInt64 = 0
        var isOver = false
    }

    /// More new dead letters than this have to wait for the next time, so that none takes long.
    private static let letterLimit = 20_000

    private let data: String
    private let store: Store<SystemDisk>
    private let versions: @Sendable () -> [VersionRow]
    private let tell: @Sendable (String) -> Void
    private let state = Locked(State())
    /// Holds one token; who has it writes.
    private let turn = Channel<Void>(capacity: 1)
    private let wake = Channel<Void>(capacity: 1)

    /// Nil when the run has no store.
    package init?(_ run: PipelineRun, data: String?) {
        guard let data, let store = run.queueStore else { return nil }
        self.data = data
        self.store = store
        tell = run.tell
        versions = { [weak run] in run?.versionRows ?? [] }
        turn.send(())
        run.whenEnding { [weak self] in self?.end() }
    }

    /// Begins to look every so many nanoseconds.
    package func start(every nanoseconds: Int64) {
        state.withLock { $0.period = UInt64(nanoseconds) }
        let period = Int(nanoseconds / 1_000_000)
        startThread { [self] in
            var patience = period
            while true {
                _ = wake.receive(milliseconds: patience)
                if wake.isFinished { return }
                let before = monotonicNanoseconds()
                inTurn { updateIfChanged() }
                // However much there is to write, it takes a small part of one core.
                patience = max(period, Int((monotonicNanoseconds() - before) / 1_000_000) * 20)
            }
        }
    }

    /// Writes now, for somebody who waits; the answer counts rows.
    func update(rebuild: Bool) throws(ControlFailure) -> Record {
        _ = turn.receive()
        defer { turn.send(()) }
        return try StoreCatalogue(data, CatalogueSource(store), versions())
            .update(rebuild: rebuild).answer
    }

    /// The run is over, and the store about to be closed: what it has left is written, so that
    /// there is something to look at after a short one as well.
    private func end() {
        wake.close()
        inTurn {
            if state.withLock({ $0.period }) > 0 { updateIfChanged(isWaitedFor: true) }
            state.withLock { $0.isOver = true }
        }
    }

    private func inTurn(_ body: () -> Void) {
        _ = turn.receive()
        body()
        turn.send(())
    }

    private func updateIfChanged(isWaitedFor: Bool = false) {
        let (known, isOver) = state.withLock { ($0.known, $0.isOver) }
        guard !isOver, let now = signature() else { return }
        var status = stat()
        let isThere =
            unsafe stat(StoreCatalogue.path(data), &status) == 0 && status.st_size > 0
        guard now != known || !isThere else { return }
        let runs = QueueSettings.runs.name
        let steps = StepQueue()
        let result = Locked<Result<StoreCatalogue.Outcome, ControlFailure>?>(nil)
        let catalogue = StoreCatalogue(data, CatalogueSource(store, steps: steps), now.versions)
        let hasNewRuns = now.queues[runs] != known?.queues[runs]
        let hasStarted = startThread {
            // Zero names the calling thread on Linux.
            if !isWaitedFor { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19) }
            do throws(ControlFailure) {
                let outcome = try catalogue.update(limit: Self.letterLimit, withRuns: hasNewRuns)
                result.withLock { $0 = .success(outcome) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
            steps.close()
        }
        guard hasStarted else { return }
        steps.serve()
        note(result.withLock { $0 }, now)
    }

    private func note(_ result: Result<StoreCatalogue.Outcome, ControlFailure>?, _ now: Signature) {
        switch result {
        case .success(let outcome):
            state.withLock {
                $0.known = outcome.isWhole ? now : nil
                $0.told = nil
            }
        case .failure(let failure):
            let isNews = state.withLock { state in
                defer { state.told = failure.message }
                return state.told != failure.message
            }
            if isNews {
                tell(
                    "warning: \(failure.message); the pipeline goes on, and the catalogue is "
                        + "written as soon as that is possible\n")
            }
        case nil: break
        }
    }

    /// Nil when the store cannot be asked any more.
    private func signature() -> Signature? {
        guard let status = try? store.status() else { return nil }
        let names =
            CatalogueSource.letterNames(status)
            + [QueueSettings.audit.name, QueueSettings.runs.name]
        var signature = Signature()
        for queue in status where names.contains(queue.name) {
            signature.queues[queue.name] = .init(counts: queue.counts, totals: queue.totals)
        }
        signature.versions = versions()
        return signature
    }
}
