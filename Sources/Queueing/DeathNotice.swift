/// Messages of a queue that have died of the same reason since somebody asked last.
public struct DeathNotice: Sendable, Hashable {
    /// The queue in which they died.
    public var queue: String
    /// Why, such as `max_attempts`.
    public var reason: String
    /// How many.
    public var count: Int
    /// The queue where they are now; nil when they are gone.
    public var target: String?
    /// What went wrong in the last delivery of the last one, if anything did.
    public var error: String?
}

/// Deaths that nobody has asked for yet, by queue and reason.
struct DeathTally {
    private struct Kind: Hashable {
        var queue: UInt16
        var reason: String
    }

    private var notices: [Kind: DeathNotice] = [:]
    /// Reasons are few words of the queues' own, so that this holds for every store.
    private static let most = 1000

    mutating func note(_ notice: DeathNotice, _ queue: UInt16) {
        let kind = Kind(queue: queue, reason: notice.reason)
        guard notices[kind] != nil || notices.count < Self.most else { return }
        let before = notices[kind]?.count ?? 0
        notices[kind] = notice
        notices[kind]?.count += before
    }

    mutating func take() -> [DeathNotice] {
        defer { notices = [:] }
        return notices.values.sorted { ($0.queue, $0.reason) < ($1.queue, $1.reason) }
    }
}

extension Store {
    /// Messages that have died since the last call.
    public func takeDeaths() -> [DeathNotice] {
        core.begin()
        defer { core.end() }
        return core.deaths.take()
    }
}
