internal import Records
internal import Scripting

/// A batch on its way from the intake through a lane to the outlet, and what goes with it.
struct Work: Sendable {
    let batch: Batch
    /// The place of the batch among all that were read, from 0 on.
    var sequence: UInt64 = 0
    /// How far it has been run.
    var slice = BatchSlice()
    /// What several lanes have to agree on before each of them runs its part.
    var scan: RecordScan?
    /// The sources whose times the watermark waits for beside that of the batch.
    var others: [Int] = []
    /// How far time had come before the batch; nil when only the outlet will know.
    var clock: ClockReading?
    /// The step of the rules' versions that runs it.
    var step = 0
    /// A commit ends with this batch: what the intake has added to it.
    var mark: CommitDraft?
    /// No more batches come behind it, which holds no records; every lane gets it.
    var isLast = false
    /// Windows close: the input has ended, or is silent.
    var isClosing = false
    /// The input has ended: timers of rules fire.
    var isEnding = false
    /// The dead letters that are run again in this batch.
    var replay: ReplayPart?
    /// The batch holds no records: it carries the mark, or lets the others know of a new version.
    var isEmpty: Bool { batch.isEmpty }
    /// All of the batch was run; lanes that share it always run all of it.
    var isDone: Bool { slice.isDone || scan != nil }
}

/// Some of the dead letters that somebody wants to be run again.
struct ReplayPart: Sendable {
    let job: ReplayJob
    /// No more letters of the job come after these.
    var isLast: Bool
}
