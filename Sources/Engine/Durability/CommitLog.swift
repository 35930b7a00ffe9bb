internal import Queueing

/// Where the commits of a pipeline are kept: one transaction each, in the order of commits.
///
/// A pipeline's store is one (`PipelineStore`, on the journal); the committer's thread alone uses
/// it once it has begun. It knows drafts, and nothing of who has put what into them.
protocol CommitLog: AnyObject {
    /// What is committed.
    var state: PipelineState { get }
    /// True when a commit counts on stable storage only, so that rows of sinks must be there first.
    var isSynced: Bool { get }
    /// Keeps a draft as one transaction, waits until it is kept, and applies it to `state`.
    ///
    /// - Throws: with nothing of it done; `.full` when it may be tried again, because somebody
    ///   else has to make room first.
    func commit(_ draft: CommitDraft) throws(QueueError)
    /// What takes snapshots between commits, at most as often as given; nil when the log needs
    /// none. Called once.
    func makeSnapshots(every nanoseconds: Int64) -> SnapshotKeeper?
    /// Writes what is left; another run may have it once nobody has this one any more.
    func close() throws(QueueError)
}

extension PipelineStore: CommitLog {
    func makeSnapshots(every nanoseconds: Int64) -> SnapshotKeeper? {
        SnapshotKeeper(queues, state, every: nanoseconds)
    }
}
