/// Takes part in commits: whatever has changed since the last commit goes into the next one.
///
/// Sources, sinks, outboxes, tasks with their state and windows, and the event clock are
/// participants; the commit knows none of them by its kind.
protocol Participant: AnyObject {
    /// Adds what has changed since the last call, and to `draft.whenKept` what is to be done once
    /// the commit is kept. Called on the participant's own thread, between two slices.
    func addEntries(to draft: inout CommitDraft)
}
