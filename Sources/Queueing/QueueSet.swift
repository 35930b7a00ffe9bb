internal import Journal

/// All queues of a store, as a value: it knows no clock, no disk and no lock. What the log says is
/// applied to it, by the same code when it happens and when it is read again. Milliseconds.
struct QueueSet {
    var slots = SlotTable()
    var numbers = NumberTable()
    var wheel = TimerWheel()
    var queues: [QueueState] = []
    var names: [String: UInt16] = [:]
    var known = KnownIDs()
    var groups = KeyGroups()
    /// Ordering keys and histories of the few messages that have one.
    var keys: [UInt64: UInt64] = [:]
    var histories: [UInt64: LogPosition] = [:]
    /// The few messages that are delivered at most once though their queue says otherwise.
    var atMostOnce: Set<UInt64> = []
    /// Messages that may have killed a process.
    var trial = PoisonTrial()
    /// How many messages the process that has the store has for itself.
    private(set) var ownedLeases = 0
    /// Queues some of whose counts are to be written.
    var counted: [UInt16] = []
    var use = SegmentUse()
    /// Bodies of messages that are never written, by the offset of their position.
    var volatileBodies: [UInt32: [UInt8]] = [:]
    /// The segment of those positions.
    static let volatileSegment = UInt32.max
    var nextNumber: UInt64 = 1
    /// No message had a number above it: one that comes need not be looked up.
    private var highestNumber: UInt64 = 0
    /// The time new messages are marked with: it never goes back, whatever the clock does.
    var latestStamp: Int64 = 0
    /// While the log is read: lines, timers and counts are made at its end.
    var isRecovering = false
    /// While a snapshot is read, which tells of every message once: the table of numbers is made
    /// when all of them are there.
    var isRestoring = false

    /// Does what an operation of the log says.
    mutating func apply(_ operation: Operation) {
        switch operation {
        case .record(let record): apply(record)
        case .updates(let updates): for update in updates { apply(update) }
        case .removes(let gone): for number in gone { remove(number) }
        case .remembered(let ids): for id in ids { known.remember(id) }
        case .queue(let queue): apply(queue)
        case .counter(let number): nextNumber = max(nextNumber, number)
        case .moved(let moved, let position): for number in moved { move(number, position) }
        case .suspects(let suspects): for suspect in suspects { apply(suspect) }
        case .totals(let totals): for total in totals { apply(total) }
        }
    }

    private mutating func apply(_ record: Record) {
        ensureQueue(record.queue)
        let isNew = record.number > highestNumber
        highestNumber = max(highestNumber, record.number)
        nextNumber = max(nextNumber, record.number + 1)
        if record.state == .ready { latestStamp = max(latestStamp, record.time) }
        let index: UInt32
        if isRestoring {
            index = slots.take()
            slots[index].number = record.number
        } else if !isNew, let found = numbers.find(record.number, slots) {
            index = found
            // A dead message that blocks its key keeps it.
            detach(
                index,
                leavesKey: slots[index].queue != record.queue && keys[record.number] != record.key)
            if slots[index].segment == Self.volatileSegment,
                slots[index].position != record.position
            {
                volatileBodies[slots[index].offset] = nil
            }
            use.add(slots[index].segment, -1, -Int(slots[index].length))
        } else {
            index = slots.take()
            slots[index].number = record.number
            numbers.insert(record.number, index, slots)
        }
        // A copy is changed and put back: each look into the table costs its checks.
        var slot = slots[index]
        slot.queue = record.queue
        slot.state = record.state
        slot.priority = record.priority
        slot.isOwned = record.isOwned
        if slot.isSuspect, !record.isSuspect { trial.clear(record.number) }
        slot.isSuspect = record.isSuspect
        slot.keepsPlace = record.keepsPlace
        slot.attempts = record.attempts
        slot.time = record.time
        slot.expiry = record.expiry
        slot.position = record.position
        slot.token = record.token
        slot.started = record.started
        slots[index] = slot
        use.add(record.position.segment, 1, Int(record.position.length))
        setHistory(index, record.history)
        if record.isAtMostOnce {
            atMostOnce.insert(record.number)
        } else if !atMostOnce.isEmpty {
            atMostOnce.remove(record.number)
        }
        if record.key != 0 || slots[index].hasKey {
            keys[record.number] = record.key == 0 ? nil : record.key
            slots[index].hasKey = record.key != 0
        }
        attach(index)
    }

    private mutating func apply(_ update: Update) {
        guard let index = numbers.find(update.number, slots) else { return }
        detach(index, leavesKey: false)
        var slot = slots[index]
        slot.state = update.state
        slot.attempts = update.attempts
        slot.isOwned = update.isOwned
        if slot.isSuspect, !update.isSuspect { trial.clear(update.number) }
        slot.isSuspect = update.isSuspect
        slot.keepsPlace = update.keepsPlace
        slot.time = update.time
        slot.token = update.token
        slot.started = update.started
        slots[index] = slot
        attach(index)
    }

    private mutating func remove(_ number: UInt64) {
        guard let index = numbers.find(number, slots) else { return }
        detach(index, leavesKey: true)
        // A copy is looked at: each look into the table costs its checks.
        let slot = slots[index]
        use.add(slot.segment, -1, -Int(slot.length))
        if slot.hasHistory { setHistory(index, nil) }
        if slot.hasKey { keys[number] = nil }
        if slot.isSuspect { trial.clear(number) }
        if !atMostOnce.isEmpty { atMostOnce.remove(number) }
        if slot.segment == Self.volatileSegment { volatileBodies[slot.offset] = nil }
        numbers.remove(number, slots)
        slots.free(index)
    }

    private mutating func move(_ number: UInt64, _ position: LogPosition) {
        guard let index = numbers.find(number, slots) else { return }
        use.add(slots[index].segment, -1, -Int(slots[index].length))
        slots[index].position = position
        use.add(position.segment, 1, Int(position.length))
    }

    private mutating func setHistory(_ index: UInt32, _ position: LogPosition?) {
        guard position != nil || slots[index].hasHistory else { return }
        let number = slots[index].number
        let old = histories[number]
        histories[number] = position
        slots[index].hasHistory = position != nil
        if let old { use.add(old.segment, -1, -Int(old.length)) }
        if let position { use.add(position.segment, 1, Int(position.length)) }
    }

    // MARK: - Lines, timers and counts

    /// Puts a slot where its state says it stands.
    mutating func attach(_ index: UInt32) {
        if isRecovering { return }
        let slot = slots[index]
        guard let state = slot.state else { return }
        queues[Int(slot.queue)].counts[state] += 1
        if state == .ready { enterLine(index) }
        if slot.isOwned {
            ownedLeases += 1
            if slot.isSuspect { trial.begin(slot.number) }
        }
        wheel.insert(index, &slots)
    }

    /// Puts a ready message into its queue's line, or lets it wait for its ordering key.
    mutating func enterLine(_ index: UInt32) {
        let slot = slots[index]
        if slot.hasKey, let key = keys[slot.number], !enterKey(key, index) { return }
        let queue = Int(slot.queue)
        let priority = Int(slot.priority)
        if slot.attempts > 0 || slot.keepsPlace {
            queues[queue].lines[priority].insertReturned(index, &slots)
        } else {
            queues[queue].lines[priority].append(index, &slots)
        }
        queues[queue].occupied |= 1 << UInt16(priority)
    }

    /// Takes a slot from where it stands. `leavesKey`: others of its ordering key may go on.
    private mutating func detach(_ index: UInt32, leavesKey: Bool) {
        if isRecovering { return }
        let slot = slots[index]
        guard let state = slot.state else { return }
        let queue = Int(slot.queue)
        queues[queue].counts[state] -= 1
        if slot.isTimed { wheel.remove(index, &slots) }
        if slot.isOwned {
            ownedLeases -= 1
            if slot.isSuspect { trial.end() }
        }
        if state == .ready {
            if slot.isBlocked { slots[index].isBlocked = false } else { leaveLine(index) }
        }
        guard leavesKey, slot.hasKey, let key = keys[slot.number] else { return }
        let next = groups.leave(key, slot.number) { [slots, numbers] number in
            numbers.find(number, slots).map { slots[$0].isBlocked && keys[number] == key } ?? false
        }
        if let next, let other = numbers.find(next, slots) {
            slots[other].isBlocked = false
            enterLine(other)
        }
    }

    @inline(__always)
    mutating func leaveLine(_ index: UInt32) {
        let (queue, priority) = (Int(slots[index].queue), Int(slots[index].priority))
        queues[queue].lines[priority].remove(index, &slots, numbers)
        if queues[queue].lines[priority].isEmpty {
            queues[queue].occupied &= ~(1 << UInt16(priority))
        }
    }

    /// A scheduled or retrying message whose time has come. Nothing is written: the time says it.
    mutating func becomeReady(_ index: UInt32) {
        detach(index, leavesKey: false)
        slots[index].state = .ready
        attach(index)
    }

    // MARK: - Queues

    mutating func ensureQueue(_ queue: UInt16) {
        while queues.count <= Int(queue) {
            queues.append(QueueState(QueueSettings("")))
        }
    }

    private mutating func apply(_ record: QueueRecord) {
        ensureQueue(record.queue)
        let queue = Int(record.queue)
        if queues[queue].settings.name != record.name {
            queues[queue].settings.name = record.name
            names[record.name] = record.queue
        }
        queues[queue].isRegistered = true
        queues[queue].isPublishPaused = record.isPublishPaused
        queues[queue].isConsumePaused = record.isConsumePaused
    }

    /// The number of a queue, made if need be; the log learns it with the first use.
    mutating func declare(_ settings: QueueSettings) -> UInt16 {
        if let queue = names[settings.name] {
            queues[Int(queue)].settings = settings
            queues[Int(queue)].isDeclared = true
            return queue
        }
        let queue = UInt16(queues.count)
        queues.append(QueueState(settings))
        queues[Int(queue)].isDeclared = true
        names[settings.name] = queue
        return queue
    }
}
