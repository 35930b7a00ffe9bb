internal import Connecting
internal import Definitions
internal import Queueing
internal import Synchronization
internal import Threads

/// The thread that makes commits last: first the rows of the sinks, then the frame that counts
/// them. While it waits for the disk, records go on, and all that comes is in the next commit.
package final class Committer: Sendable {
    private let open: @Sendable () throws(PipelineError) -> any CommitLog
    private let drafts = Channel<CommitDraft>(capacity: 1)
    private let answers = Channel<Void>(capacity: 2)
    private let inFlight = Atomic<Int>(0)
    private let committed = Atomic<Int>(0)
    private let questions = Channel<Set<String>>(capacity: 1)
    private let rules = Channel<[UInt8]>(capacity: 1)

    private let checkpointNanoseconds: Int64
    /// Called when there are no more commits, before the log is closed.
    let atEnd = Locked<(@Sendable () -> Void)?>(nil)
    private let isClosing = Atomic<Bool>(false)
    private let pause = Channel<Void>(capacity: 1)

    /// Takes what gives the log, which may wait until it is open.
    init(
        checkpointNanoseconds: Int64,
        _ open: @escaping @Sendable () throws(PipelineError) -> any CommitLog
    ) {
        self.open = open
        self.checkpointNanoseconds = checkpointNanoseconds
    }

    /// Commits that are kept.
    var count: Int { committed.load(ordering: .relaxed) }

    /// True when a draft would not have to wait.
    var isIdle: Bool { inFlight.load(ordering: .acquiring) == 0 }

    /// The thread's whole life.
    func main(fail: @escaping @Sendable (PipelineError) -> Void) {
        // Whoever waits for the log hears why it could not be opened.
        guard let log = try? open() else { return abandon() }
        let snapshots = log.makeSnapshots(every: checkpointNanoseconds)
        var failure: PipelineError?
        while let draft = next(log, snapshots, &failure, fail) {
            if failure == nil {
                do {
                    try commit(draft, to: log)
                    // However many commits there are, these come to their end.
                    for _ in 0..<2 { _ = log.state.settleOne() }
                    _ = try snapshots?.step()
                    committed.add(1, ordering: .relaxed)
                    for tell in draft.whenKept { tell() }
                } catch {
                    failure = PipelineError(exitCode: 1, "error: \(error)")
                    if let failure { fail(failure) }
                }
            }
            if let stages = questions.tryReceive() {
                rules.send(log.state.encodedRules(of: stages))
            }
            inFlight.subtract(1, ordering: .releasing)
            _ = answers.trySend(())
        }
        atEnd.withLock { $0 }?()
        do throws(QueueError) {
            if failure == nil { try snapshots?.finish() }
            try? snapshots?.waitForEnd()
            try log.close()
        } catch {
            if failure == nil { fail(PipelineError(exitCode: 1, "error: \(error)")) }
        }
        abandon()
    }

    /// The next draft, or nil at the end. While there is none, what was put off at the start and
    /// what is due of a snapshot is done.
    private func next(
        _ log: any CommitLog, _ snapshots: SnapshotKeeper?, _ failure: inout PipelineError?,
        _ fail: (PipelineError) -> Void
    ) -> CommitDraft? {
        while true {
            if let draft = drafts.tryReceive() { return draft }
            if drafts.isFinished { return nil }
            if log.state.settleOne() { continue }
            do throws(QueueError) {
                if failure == nil, try snapshots?.step() == true { continue }
            } catch {
                let reason = PipelineError(exitCode: 1, "error: \(error)")
                failure = reason
                fail(reason)
            }
            let patience = snapshots?.isCopying == true ? 2 : Self.lookMilliseconds
            if let draft = drafts.receive(milliseconds: patience) { return draft }
        }
    }

    /// How often the log is looked at for whether a snapshot is due, when nothing is committed:
    /// queues fill it as well.
    private static let lookMilliseconds = 1000

    private func abandon() {
        drafts.close()
        answers.close()
        questions.close()
        rules.close()
    }

    /// The state of the rules of some stages as it was last committed; nil when it is closed.
    package func encodedRules(of stages: Set<String>) -> [UInt8]? {
        guard questions.send(stages) else { return nil }
        submit(CommitDraft())
        return rules.receive()
    }

    private func commit(_ draft: CommitDraft, to log: any CommitLog) throws {
        if log.isSynced { for sync in draft.syncers { try sync() } }
        while let refusal = refusal(of: draft, log) {
            guard refusal.code == .full, !isClosing.load(ordering: .relaxed) else { throw refusal }
            // Whoever takes messages out makes room; until then the pipeline waits.
            _ = pause.receive(milliseconds: 5)
        }
    }

    private func refusal(of draft: CommitDraft, _ log: any CommitLog) -> QueueError? {
        do throws(QueueError) { try log.commit(draft) } catch { return error }
        return nil
    }

    /// Hands over a draft; waits while another one is waiting.
    func submit(_ draft: CommitDraft) {
        while answers.tryReceive() != nil {}
        inFlight.add(1, ordering: .acquiringAndReleasing)
        if !drafts.send(draft) { inFlight.subtract(1, ordering: .releasing) }
    }

    /// Hands over a draft and waits until it is kept, or has failed.
    func submitAndWait(_ draft: CommitDraft) {
        submit(draft)
        wait()
    }

    /// Waits until everything that was handed over is kept, or has failed.
    func wait() {
        while !isIdle, !answers.isFinished { _ = answers.receive(milliseconds: 100) }
    }

    /// No more drafts will come.
    func close() { drafts.close() }

    /// Whoever waits for room in a queue gives up: the run is being stopped.
    func giveUpWaiting() { isClosing.store(true, ordering: .relaxed) }
}
