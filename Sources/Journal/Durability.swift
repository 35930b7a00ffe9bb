/// When a transaction counts as kept. Only `disk` is called durable. A fourth level, memory, is
/// the owner's: such a transaction is never handed to the journal.
public enum Durability: Hashable, Sendable {
    /// Synced with its group as soon as the disk is free: survives a power cut.
    case disk
    /// Written at once, synced within so many milliseconds: a power cut takes that much.
    case within(milliseconds: Int)
    /// Written at once, synced by the system when it likes: survives the process only.
    case osCache
}
