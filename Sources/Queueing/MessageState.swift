/// Where a message stands. The one place that says what may happen to it.
public enum MessageState: UInt8, Sendable, Hashable, CaseIterable {
    /// It waits for its time.
    case scheduled = 1
    /// It may be received.
    case ready
    /// Somebody has it until a deadline.
    case leased
    /// It failed and waits for the next attempt.
    case retrying

    /// What can happen to a message.
    package enum Event: Sendable, Hashable, CaseIterable {
        /// Its time has come.
        case due
        /// It is handed over.
        case receive
        /// The holder is done with it.
        case acknowledge
        /// The holder, or the end of the lease, says it failed, and it may be tried again.
        case fail
        /// It failed for the last time, or was refused.
        case bury
        /// The holder gives it back unprocessed.
        case snooze
        /// The holder keeps it longer.
        case extend
        /// Its time to live is over.
        case expire
        /// Somebody takes it out, or empties the queue.
        case cancel
        /// Room is made for a newer one.
        case drop
        /// It goes back from the dead.
        case redrive
    }

    /// What becomes of it.
    package enum Outcome: Sendable, Hashable {
        /// It stands here now, in the same queue.
        case stands(MessageState)
        /// It stands, ready, in the queue for the dead.
        case dead
        /// It is gone.
        case gone
        /// It stands, ready, in another queue.
        case moves
    }

    /// What an event does to a message that stands here; nil when it cannot happen.
    package func outcome(of event: Event) -> Outcome? {
        switch (self, event) {
        case (.scheduled, .due), (.retrying, .due): .stands(.ready)
        case (.ready, .receive): .stands(.leased)
        case (.leased, .acknowledge): .gone
        case (.leased, .fail): .stands(.retrying)
        case (.leased, .bury): .dead
        case (.leased, .snooze): .stands(.scheduled)
        case (.leased, .extend): .stands(.leased)
        // A delivery that has begun may end: a leased message does not expire.
        case (.scheduled, .expire), (.ready, .expire), (.retrying, .expire): .dead
        case (_, .cancel): .gone
        case (.ready, .drop), (.scheduled, .drop), (.retrying, .drop): .dead
        case (.leased, .redrive): nil
        case (_, .redrive): .moves
        default: nil
        }
    }

    /// Its name in answers.
    public var name: String {
        switch self {
        case .scheduled: "scheduled"
        case .ready: "ready"
        case .leased: "leased"
        case .retrying: "retrying"
        }
    }
}
