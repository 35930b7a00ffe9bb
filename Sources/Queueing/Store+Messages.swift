internal import Journal

extension Store {
    /// Finds a queue by its name. Throws when there is none.
    public func queue(_ name: String) throws(QueueError) -> QueueHandle {
        core.begin()
        defer { core.end() }
        return try core.transaction.queue(name)
    }

    /// Publishes one message and waits until it is as durable as its queue says.
    public func publish(
        _ message: NewMessage, to queue: QueueHandle
    ) throws(QueueError) -> Published {
        let (published, sequence) = try commit { (transaction) throws(QueueError) in
            try transaction.publish(message, to: queue)
        }
        try wait(for: sequence, queue)
        return published
    }

    /// Takes up to `max` messages and reads them. The lease is written before they are handed over,
    /// and for `at_most_once` on the disk.
    public func receive(
        from queue: QueueHandle, max limit: Int = 1, lease: Int64? = nil, isOwned: Bool = false
    ) throws(QueueError) -> [Message] {
        while true {
            let (leases, sequence) = try commit { (transaction) throws(QueueError) in
                try transaction.receive(from: queue, max: limit, lease: lease, isOwned: isOwned)
            }
            guard let first = leases.first else { return [] }
            if leases.contains(where: \.isGone) {
                try wait(for: sequence, queue)
            } else if first.record.position.segment != QueueSet.volatileSegment {
                try waitUntilWritten(sequence)
            }
            let messages = try messages(of: leases)
            let sound = messages.filter { !$0.isDamaged }
            // From the dead ones it is handed over as it is, since there is nowhere else to go.
            guard sound.count < messages.count, settings(of: queue).deadLetterTarget != nil else {
                return messages
            }
            try bury(messages.filter(\.isDamaged), of: queue)
            if !sound.isEmpty { return sound }
        }
    }

    /// Messages whose bytes have changed on the disk are dead; the others are not touched.
    private func bury(_ damaged: [Message], of queue: QueueHandle) throws(QueueError) {
        _ = try commit { (transaction) throws(QueueError) in
            for receipt in damaged.compactMap(\.receipt) {
                var failure = DeliveryFailure(reason: "damaged")
                failure.error = "the bytes of the message have changed on the disk"
                try transaction.reject(receipt, in: queue, failure)
            }
        }
    }

    /// Acknowledges messages and waits until that is as durable as their queue says.
    public func acknowledge(
        _ receipts: [Receipt], in queue: QueueHandle
    ) throws(QueueError) {
        let (_, sequence) = try commit { (transaction) throws(QueueError) in
            try transaction.acknowledge(receipts, in: queue)
        }
        try wait(for: sequence, queue)
    }

    /// How many more messages fit into a queue; one that lets the oldest go always has room.
    public func room(in queue: QueueHandle) -> Int {
        core.begin()
        defer { core.end() }
        let settings = core.transaction.queues.queues[Int(queue.number)].settings
        if settings.overflow == .dropOldest { return .max }
        return settings.maxSize - core.transaction.queues.queues[Int(queue.number)].counts.size
    }

    /// What a queue was told.
    public func settings(of queue: QueueHandle) -> QueueSettings {
        core.begin()
        defer { core.end() }
        return core.transaction.queues.queues[Int(queue.number)].settings
    }

    /// Waits until a transaction is as durable as a queue says.
    public func wait(for sequence: UInt64, _ queue: QueueHandle) throws(QueueError) {
        core.begin()
        let durability = core.transaction.queues.queues[Int(queue.number)].settings.durability
        core.end()
        switch durability {
        case .disk: try waitUntilDurable(sequence)
        case .within, .osCache: try waitUntilWritten(sequence)
        case .memory: break
        }
    }

    /// Reads the messages that were taken. One whose bytes have changed says so, and has no
    /// payload.
    public func messages(of leases: [Lease]) throws(QueueError) -> [Message] {
        var messages = try messages(leases.map(\.record))
        for (index, lease) in leases.enumerated() {
            // What is gone already has no lease to be settled, nor one that ends.
            messages[index].receipt = lease.isGone ? nil : lease.receipt
            if lease.isGone { messages[index].until = nil }
        }
        return messages
    }

    /// Reads messages as they stand in records.
    func messages(_ records: [Record]) throws(QueueError) -> [Message] {
        var messages: [Message] = []
        messages.reserveCapacity(records.count)
        var first = 0
        while first < records.count {
            // Those of one queue that lie in the same place are read together.
            let (queue, isVolatile) = (records[first].queue, records[first].isVolatile)
            var end = first + 1
            while end < records.count, records[end].queue == queue,
                records[end].isVolatile == isVolatile
            { end += 1 }
            let run = records[first..<end]
            let name = name(of: queue)
            if isVolatile {
                for record in run {
                    let body = volatileBody(record.position)
                    guard let message = unsafe Message(record, body.span.bytes, name) else {
                        throw QueueError(.misuse, "an entry of \"\(name)\" is no message")
                    }
                    messages.append(message)
                }
            } else {
                try read(run, name, into: &messages)
            }
            first = end
        }
        for index in records.indices {
            guard let position = records[index].history else { continue }
            do throws(JournalError) {
                let entry = try journal.read(position)
                messages[index].history = unsafe MessageHistory(entry: entry.span.bytes)
            } catch {
                // What happened to it is not worth the message.
                guard error.code == .damaged else { throw QueueError(error) }
            }
        }
        return messages
    }

    private func read(
        _ records: ArraySlice<Record>, _ name: String, into messages: inout [Message]
    ) throws(QueueError) {
        let count = messages.count
        do throws(JournalError) {
            try journal.read(records.map(\.position)) { (index, bytes) throws(JournalError) in
                let record = records[records.startIndex + index]
                messages.append(
                    Message(record, bytes, name) ?? Message(damaged: record, queue: name))
            }
        } catch {
            guard error.code == .damaged else { throw QueueError(error) }
            messages.removeLast(messages.count - count)
            if records.count == 1, let record = records.first {
                messages.append(Message(damaged: record, queue: name))
                return
            }
            // One of them has changed: the others are found by halves.
            let middle = records.startIndex + records.count / 2
            try read(records[..<middle], name, into: &messages)
            try read(records[middle...], name, into: &messages)
        }
    }

    private func volatileBody(_ position: LogPosition) -> [UInt8] {
        core.begin()
        defer { core.end() }
        return core.transaction.queues.volatileBodies[position.offset] ?? []
    }

    private func name(of queue: UInt16) -> String {
        core.begin()
        defer { core.end() }
        return core.transaction.queues.queues[Int(queue)].settings.name
    }
}

extension Message {
    /// A message from its record and its entry; nil when that is none.
    init?(_ record: Record, _ entry: RawSpan, _ queue: String) {
        guard let body = MessageBody(entry) else { return nil }
        number = record.number
        given = body.id
        self.queue = queue
        payload = body.payload
        headers = body.headers
        correlation = body.correlation
        orderingKey = body.orderingKey
        priority = record.priority
        attempt = Int(record.attempts)
        state = record.state
        publishedAt = body.publishedAt
        if record.state != .ready { until = record.time }
    }
}

extension Message {
    /// Stands for a message whose bytes have changed on the disk.
    init(damaged record: Record, queue: String) {
        number = record.number
        given = nil
        self.queue = queue
        payload = []
        headers = []
        priority = record.priority
        attempt = Int(record.attempts)
        state = record.state
        publishedAt = 0
        isDamaged = true
        if record.state != .ready { until = record.time }
    }
}

/// A queue as an operator sees it.
public struct QueueStatus: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// How many messages stand where.
    public var counts: QueueCounts
    /// True when nothing is handed over.
    public var isConsumePaused: Bool
    /// True when nothing is taken.
    public var isPublishPaused: Bool
    /// What it was told.
    public var settings: QueueSettings
    /// What happened since `totals.since`.
    public var totals: QueueTotals
}

extension Store {
    /// All queues, by name; what is due was done before.
    public func status() throws(QueueError) -> [QueueStatus] {
        _ = try advance()
        core.begin()
        defer { core.end() }
        return core.transaction.queues.queues.filter { !$0.settings.name.isEmpty }.map { queue in
            QueueStatus(
                name: queue.settings.name, counts: queue.counts,
                isConsumePaused: queue.isConsumePaused, isPublishPaused: queue.isPublishPaused,
                settings: queue.settings, totals: queue.totals)
        }.sorted { $0.name < $1.name }
    }

    /// One queue; what is due was done before.
    public func status(of queue: QueueHandle) throws(QueueError) -> QueueStatus? {
        let name = name(of: queue.number)
        return try status().first { $0.name == name }
    }

    /// Up to `limit` messages of a queue, in the order of their numbers, without taking them.
    public func peek(
        _ queue: QueueHandle, max limit: Int = 10, state: MessageState? = nil
    ) throws(QueueError) -> [Message] {
        _ = try advance()
        core.begin()
        let records = core.transaction.queues.records(of: queue.number, limit, state)
        core.end()
        return try messages(records)
    }
}

extension QueueSet {
    /// The first messages of a queue by number.
    func records(of queue: UInt16, _ limit: Int, _ state: MessageState?) -> [Record] {
        guard limit > 0 else { return [] }
        var found: [(number: UInt64, index: UInt32)] = []
        for index in 0..<slots.end where slots[index].queue == queue {
            guard let own = slots[index].state, state == nil || own == state else { continue }
            found.append((slots[index].number, index))
        }
        found.sort { $0.number < $1.number }
        return found.prefix(limit).map { record($0.index) }
    }
}
