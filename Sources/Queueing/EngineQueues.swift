internal import Journal

/// Queues that the engine keeps for itself. Their names begin with a dot: nobody else declares or
/// changes them, and `queue stats` leaves them out.
extension QueueSettings {
    /// What operators did to queues and letters: the last ten thousand acts.
    public static var audit: QueueSettings { engine(".audit", 10_000) }

    /// Runs that began and ended: the last thousand.
    public static var runs: QueueSettings { engine(".runs", 2_000) }

    private static func engine(_ name: String, _ size: Int) -> QueueSettings {
        var settings = QueueSettings(name)
        settings.maxSize = size
        settings.overflow = .dropOldest
        settings.keepsDeadLetters = false
        settings.durability = .osCache
        return settings
    }
}

extension Transaction {
    /// Adds a line to one of the engine's own queues; a store that has not declared it has none.
    @discardableResult
    public mutating func note(_ line: [UInt8], in settings: QueueSettings) -> String? {
        guard let number = queues.names[settings.name] else { return nil }
        // A note that does not fit is no reason to refuse what it is about.
        return try? publish(NewMessage(line), to: QueueHandle(number: number)).id
    }
}

extension Store {
    /// A queue of the engine's own, to be changed by the engine. Throws when there is none.
    package func engineQueue(_ name: String) throws(QueueError) -> QueueHandle {
        QueueHandle(number: try queue(name).number)
    }
}

/// A message of a queue, and a word that changes whenever what is known of it does.
public struct MessageMark: Sendable, Hashable {
    /// The message's number in the store.
    public var number: UInt64
    /// The queue it is in.
    public var queue: QueueHandle
    /// The word.
    public var word: String
}

extension Store {
    /// Some of the messages of a queue without their bytes, in no order; `place` begins at 0. What
    /// comes or goes between two calls may be left out. Returns where to go on, or nil at the end.
    ///
    /// The lock is held for a fraction of a millisecond, however many messages there are.
    public func marks(
        of queue: QueueHandle, from place: UInt32
    ) -> (marks: [MessageMark], next: UInt32?) {
        var records: [Record] = []
        core.begin()
        let end = core.transaction.queues.slots.end
        let last = min(end, place + 2048)
        for index in place..<max(place, last)
        where core.transaction.queues.slots[index].queue == queue.number
            && core.transaction.queues.slots[index].state != nil
        {
            records.append(core.transaction.queues.record(index))
        }
        core.end()
        let marks = records.map { record in
            var word = "\(record.position.segment):\(record.position.offset)"
            if let history = record.history { word += ":\(history.segment):\(history.offset)" }
            return MessageMark(number: record.number, queue: queue, word: word)
        }
        return (marks, last < end ? last : nil)
    }

    /// Messages by their numbers, without taking them; those that are gone are left out.
    public func messages(
        _ numbers: some Sequence<UInt64>, in queue: QueueHandle
    ) throws(QueueError) -> [Message] {
        var records: [Record] = []
        core.begin()
        // The queues are not copied: a copy would make the next change copy them all.
        for number in numbers {
            guard
                let index = core.transaction.queues.numbers.find(
                    number, core.transaction.queues.slots),
                core.transaction.queues.slots[index].queue == queue.number
            else { continue }
            records.append(core.transaction.queues.record(index))
        }
        core.end()
        return try messages(records)
    }
}
