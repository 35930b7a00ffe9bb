internal import Journal

/// A queue of a store, found by its name once.
public struct QueueHandle: Sendable, Hashable {
    let number: UInt16
    /// True for the engine's own queues, which nobody else changes.
    var isReserved = false
}

/// Commands that happen together or not at all. What they say is checked against the queues as they
/// were before the transaction; what one of them adds, another of the same one does not see.
public struct Transaction {
    /// A step that was planned, and where its entry lies in the frame; nil when it is not written.
    struct Step {
        var operation: Operation
        var entry: Frame.Entry?
    }

    var queues = QueueSet()
    var frame = Frame(capacity: 1 << 16, messageKind: Operation.Kind.message.rawValue)
    var steps: [Step] = []
    var tallies: [(queue: UInt16, tally: Tally, count: Int)] = []
    /// Messages that die with it.
    var deaths: [(queue: UInt16, notice: DeathNotice)] = []
    /// True between counting them and the frame in the log.
    var areTalliesCounted = false
    /// Slots that a command of this transaction has already.
    var touched: [UInt32] = []
    var added: [UInt16: Int] = [:]
    var newIDs: [IDHash: UInt64] = [:]
    var remembered: [KnownID] = []
    private var registered: [UInt16] = []
    var scratch: [UInt8] = []
    /// True when it holds entries that are not the queues'.
    private(set) var hasForeign = false
    var random: StoreRandom
    /// Reads an entry of the log, for histories.
    var read: (LogPosition) throws(JournalError) -> [UInt8]
    /// Microseconds since 1970.
    public internal(set) var now: Int64 = 0
    /// The strictest of the queues that something was published to or acknowledged from.
    private(set) var durability: Durability?
    /// Bodies of new messages that are never written, by the offset of their position.
    var newBodies: [UInt32: [UInt8]] = [:]
    private var nextVolatile: UInt32 = 0
    /// What messages this transaction gave to the process, while there are suspects.
    var handedOut = HandedOut.nothing
    /// True when this process took leases for itself since the store was opened.
    var hasOwnedLeases = false
    /// True for a build that must fail the tests: receipts of older leases are taken, too.
    var ignoresTokens = false

    init(
        random: StoreRandom, read: @escaping (LogPosition) throws(JournalError) -> [UInt8]
    ) {
        self.random = random
        self.read = read
    }

    var milliseconds: Int64 { now / 1000 }
    static let volatileSegment = QueueSet.volatileSegment

    /// Finds a queue by its name.
    public func queue(_ name: String) throws(QueueError) -> QueueHandle {
        guard let number = queues.names[name] else {
            throw QueueError(
                .unknownQueue,
                "there is no queue \"\(name)\"; declare it under `queues:` in pipeline.yaml")
        }
        return QueueHandle(number: number, isReserved: name.utf8.first == 0x2E)
    }

    /// Refuses to change a queue of the engine.
    func checkOpen(_ handle: QueueHandle) throws(QueueError) {
        guard handle.isReserved else { return }
        let name = queues.queues[Int(handle.number)].settings.name
        throw QueueError(
            .misuse,
            "the queue \"\(name)\" is the engine's own and cannot be changed; look into it with "
                + "`queue peek`")
    }

    /// Adds an entry that is not the queues': it comes back at recovery, in order. `kind` is 64 or
    /// above; what it says must be absolute, because recovery may give it over a newer state.
    public mutating func add(kind: UInt8, _ bytes: [UInt8]) {
        precondition(kind >= Operation.foreignKind, "kinds below 64 are the queues' own")
        frame.add(kind: kind, bytes)
        hasForeign = true
    }

    /// Adds an entry from a span.
    public mutating func add(kind: UInt8, _ bytes: RawSpan) {
        precondition(kind >= Operation.foreignKind, "kinds below 64 are the queues' own")
        frame.add(kind: kind, bytes)
        hasForeign = true
    }

    // MARK: - Publishing

    /// Publishes a message. Throws when the queue is full, paused or does not take it.
    @discardableResult
    public mutating func publish(
        _ message: borrowing NewMessage, to handle: QueueHandle
    ) throws(QueueError) -> Published {
        let queue = handle.number
        if handle.isReserved { try checkOpen(handle) }
        let settings = queues.queues[Int(queue)].settings
        let (number, admission) = try admit(message, queue, settings)
        let published = Published(
            isDuplicate: admission != .new, isReplacement: admission == .replaces,
            number: number, given: message.id, milliseconds: milliseconds)
        if admission == .repeats { return published }
        let record = record(message, queue, settings, number)
        write(message, record, settings)
        tally(queue, .published)
        return published
    }

    /// Publishes one message to several queues; its bytes are in the log once. Throws when one of
    /// them does not take it; then none has it when the whole transaction throws.
    @discardableResult
    public mutating func publish(
        _ message: borrowing NewMessage, to handles: [QueueHandle]
    ) throws(QueueError) -> [Published] {
        for handle in handles {
            try checkOpen(handle)
            try check(message, queues.queues[Int(handle.number)].settings)
            guard hasRoom(handle.number) || handles.count == 1 else { throw full(handle.number) }
        }
        var body: Frame.Entry?
        var published: [Published] = []
        for handle in handles {
            let queue = handle.number
            let settings = queues.queues[Int(queue)].settings
            guard let shared = body, settings.durability != .memory else {
                let count = steps.count
                published.append(try publish(message, to: handle))
                for step in steps[count...] where settings.durability != .memory {
                    if case .record(let record) = step.operation, record.position.length == 0 {
                        body = step.entry
                    }
                }
                continue
            }
            let (number, admission) = try admit(message, queue, settings)
            published.append(
                Published(
                    isDuplicate: admission != .new, isReplacement: admission == .replaces,
                    number: number, given: message.id, milliseconds: milliseconds))
            if admission == .repeats { continue }
            var record = record(message, queue, settings, number)
            record.position = LogPosition(segment: 0, offset: shared.offset, length: shared.length)
            register(queue)
            plan(.record(record))
            require(settings.durability)
            tally(queue, .published)
        }
        return published
    }

    func check(
        _ message: borrowing NewMessage, _ settings: QueueSettings
    ) throws(QueueError) {
        guard message.priority <= 9 else {
            throw QueueError(.misuse, "a priority is 0 to 9, not \(message.priority)")
        }
        var size = message.payload.count
        for header in message.headers { size += header.name.utf8.count + header.value.utf8.count }
        guard size <= settings.maxMessageSize, message.headers.count < 1 << 16 else {
            throw QueueError(
                .tooLarge,
                "a message of \(size) bytes is larger than \"\(settings.name)\" allows "
                    + "(max_message_size is \(settings.maxMessageSize) bytes)")
        }
        guard message.delay >= 0, message.ttl ?? 1 > 0, (message.id ?? "x") != "" else {
            throw QueueError(
                .misuse, "a delay must not be negative, a ttl above zero, an id not empty")
        }
    }

    private func record(
        _ message: borrowing NewMessage, _ queue: UInt16, _ settings: QueueSettings,
        _ number: UInt64
    ) -> Record {
        var record = Record()
        record.number = number
        record.queue = queue
        record.priority = message.priority
        record.isAtMostOnce = message.delivery == .atMostOnce
        var due = milliseconds
        if let at = message.at { due = at / 1000 + (at % 1000 > 0 ? 1 : 0) }
        if message.delay > 0 { due = max(due, milliseconds) + message.delay }
        due = min(due, Slot.latest)
        if due > milliseconds {
            record.state = .scheduled
            record.time = due
            if message.at == nil { record.started = Self.began(milliseconds, until: due) }
        } else {
            record.state = .ready
            record.time = max(milliseconds, queues.latestStamp)
        }
        if let ttl = [message.ttl, settings.messageTTL].compactMap({ $0 }).min() {
            record.expiry = min(milliseconds + ttl, Slot.latest)
        }
        if let key = message.orderingKey { record.key = IDHash.key(queue: queue, key) }
        return record
    }

    /// When a wait began, as a record has it: nothing for one that is too long for its 32 bits.
    static func began(_ now: Int64, until due: Int64) -> UInt32 {
        due - now < 1 << 32 ? UInt32(truncatingIfNeeded: now) : 0
    }

    private mutating func write(
        _ message: borrowing NewMessage, _ record: Record, _ settings: QueueSettings
    ) {
        let isVolatile = settings.durability == .memory
        if !isVolatile { register(record.queue) }
        scratch.removeAll(keepingCapacity: true)
        scratch.put(record)
        MessageBody.put(message, publishedAt: now, into: &scratch)
        guard !isVolatile else {
            var kept = record
            kept.position = LogPosition(
                segment: Self.volatileSegment, offset: nextVolatile,
                length: UInt32(scratch.count + message.payload.count))
            newBodies[nextVolatile] = scratch + message.payload
            nextVolatile &+= 1
            steps.append(Step(operation: .record(kept), entry: nil))
            return
        }
        var bytes: [UInt8] = []
        swap(&bytes, &scratch)
        let entry = unsafe frame.add(
            kind: Operation.Kind.message.rawValue, bytes.span.bytes, message.payload.span.bytes)
        swap(&bytes, &scratch)
        steps.append(Step(operation: .record(record), entry: entry))
        require(settings.durability)
    }

    // MARK: - Building the frame

    mutating func require(_ wanted: QueueDurability) {
        guard let wanted = wanted.journal else { return }
        switch (durability, wanted) {
        case (.disk, _), (.within, .osCache): return
        case (.within(let have), .within(let new)):
            durability = .within(milliseconds: min(have, new))
        default: durability = wanted
        }
    }

    /// Lets the log know of a queue before it is used for the first time.
    mutating func register(_ queue: UInt16) {
        guard !isRegistered(queue) else { return }
        let state = queues.queues[Int(queue)]
        registered.append(queue)
        queues.note(queue, QueueTotals.allBits)
        plan(
            .queue(
                QueueRecord(
                    queue: queue, isPublishPaused: state.isPublishPaused,
                    isConsumePaused: state.isConsumePaused, name: state.settings.name)))
    }

    /// True when the log knows the queue's number, or will with this transaction.
    func isRegistered(_ queue: UInt16) -> Bool {
        queues.queues[Int(queue)].isRegistered || registered.contains(queue)
    }

    /// Plans an operation and writes its entry.
    mutating func plan(_ operation: Operation, history: MessageHistory? = nil) {
        scratch.removeAll(keepingCapacity: true)
        let kind: Operation.Kind
        switch operation {
        case .record(let record):
            kind = .record
            scratch.put(record)
        case .updates(let updates):
            kind = .updates
            for update in updates { scratch.put(update) }
        case .removes(let numbers):
            kind = .removes
            for number in numbers { scratch.put(number) }
        case .remembered(let ids):
            kind = .remembered
            for id in ids { scratch.put(id) }
        case .queue(let queue):
            kind = .queue
            scratch.put(queue)
        case .counter(let number):
            kind = .counter
            scratch.put(number)
        case .moved(let numbers, _):
            kind = .moved
            scratch.put(UInt32(numbers.count))
            for number in numbers { scratch.put(number) }
        case .suspects(let suspects):
            kind = .suspects
            for suspect in suspects { scratch.put(suspect) }
        case .totals(let totals):
            kind = .totals
            for total in totals { scratch.put(total) }
        }
        if let history { scratch += history.encoded() }
        var bytes: [UInt8] = []
        swap(&bytes, &scratch)
        let entry = unsafe frame.add(kind: kind.rawValue, bytes.span.bytes)
        swap(&bytes, &scratch)
        steps.append(Step(operation: operation, entry: entry))
    }

    /// Plans a message whose entry is given as a whole.
    mutating func planMessage(_ record: Record, _ bytes: [UInt8]) {
        let entry = frame.add(kind: Operation.Kind.message.rawValue, bytes)
        steps.append(Step(operation: .record(record), entry: entry))
    }

    mutating func touch(_ index: UInt32) {
        queues.slots[index].isTouched = true
        touched.append(index)
    }

    /// Adds what is only known when all commands were given.
    mutating func seal() {
        if !remembered.isEmpty { plan(.remembered(remembered)) }
        countTallies()
    }

    /// Forgets what was planned; the queues are as they were.
    mutating func reset() {
        for index in touched { queues.slots[index].isTouched = false }
        // Most of these are empty most of the time, which is cheaper to see than to make so.
        if !touched.isEmpty { touched.removeAll(keepingCapacity: true) }
        if !frame.isEmpty { frame.removeAll() }
        if !steps.isEmpty { steps.removeAll(keepingCapacity: true) }
        if !tallies.isEmpty { dropTallies() }
        if !deaths.isEmpty { deaths.removeAll(keepingCapacity: true) }
        areTalliesCounted = false
        handedOut = .nothing
        if !added.isEmpty { added.removeAll(keepingCapacity: true) }
        if !newIDs.isEmpty { newIDs.removeAll(keepingCapacity: true) }
        if !remembered.isEmpty { remembered.removeAll(keepingCapacity: true) }
        if !registered.isEmpty { registered.removeAll(keepingCapacity: true) }
        if !newBodies.isEmpty { newBodies = [:] }
        hasForeign = false
        durability = nil
    }
}
