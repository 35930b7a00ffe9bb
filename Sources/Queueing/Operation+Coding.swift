internal import Journal

extension [UInt8] {
    /// 72 bytes: number u64, queue u16, state u8, priority u8, flags u8, at most once u8, attempts
    /// u16, time i64, expiry i64, token u32, started u32, key u64, position and history of three
    /// u32 each. Words are put together first: growing an array once is cheaper
    /// than often.
    mutating func put(_ record: Record) {
        // Zero says there is none: no entry begins at the start of a segment.
        let history = record.history ?? LogPosition(segment: 0, offset: 0, length: 0)
        let labels =
            UInt64(record.queue) | UInt64(record.state.rawValue) << 16
            | UInt64(record.priority) << 24
            | UInt64(record.flags) << 32
            | UInt64(record.isAtMostOnce ? 1 : 0) << 40 | UInt64(record.attempts) << 48
        let words: InlineArray<9, UInt64> = [
            record.number.littleEndian, labels.littleEndian,
            UInt64(bitPattern: record.time).littleEndian,
            UInt64(bitPattern: record.expiry).littleEndian,
            UInt64(record.token, record.started).littleEndian, record.key.littleEndian,
            UInt64(record.position.segment, record.position.offset).littleEndian,
            UInt64(record.position.length, history.segment).littleEndian,
            UInt64(history.offset, history.length).littleEndian,
        ]
        unsafe put(words.span.bytes)
    }

    /// 28 bytes: number u64, state u8, flags u8, attempts u16, time i64, token u32, started u32.
    mutating func put(_ update: Update) {
        let labels =
            UInt32(update.state.rawValue)
            | UInt32(update.flags) << 8
            | UInt32(update.attempts) << 16
        let words: InlineArray<7, UInt32> = [
            UInt32(truncatingIfNeeded: update.number).littleEndian,
            UInt32(truncatingIfNeeded: update.number >> 32).littleEndian, labels.littleEndian,
            UInt32(truncatingIfNeeded: update.time).littleEndian,
            UInt32(truncatingIfNeeded: update.time >> 32).littleEndian,
            update.token.littleEndian, update.started.littleEndian,
        ]
        unsafe put(words.span.bytes)
    }

    mutating func put(_ known: KnownID) {
        put(known.id.high)
        put(known.id.low)
        put(known.until)
        put(known.number)
    }

    mutating func put(_ suspect: SuspectRecord) {
        put(suspect.number)
        put(suspect.suspect.group)
        put(suspect.suspect.deaths)
    }

    /// 11 bytes: queue u16, which count u8, value u64.
    mutating func put(_ total: TotalRecord) {
        put(UInt64(total.queue) | UInt64(total.tally.rawValue) << 16 | total.value << 24)
        put(UInt8(truncatingIfNeeded: total.value >> 40))
        put(UInt16(truncatingIfNeeded: total.value >> 48))
    }

    mutating func put(_ queue: QueueRecord) {
        put(queue.queue)
        put(UInt8((queue.isPublishPaused ? 1 : 0) | (queue.isConsumePaused ? 2 : 0)))
        put(text: queue.name)
    }
}

extension UInt64 {
    /// Two numbers, the first one in the low half.
    fileprivate init(_ low: UInt32, _ high: UInt32) { self = UInt64(low) | UInt64(high) << 32 }
}

/// The flags of records and updates. The two lowest bits were a count of deaths that told nothing
/// of what else was under way; they are left out of account.
private struct Flags {
    static let keepsPlace: UInt8 = 4
    static let isSuspect: UInt8 = 8
    static let isOwned: UInt8 = 0x80

    static func of(_ isOwned: Bool, _ isSuspect: Bool, _ keepsPlace: Bool) -> UInt8 {
        (isOwned ? Self.isOwned : 0) | (isSuspect ? Self.isSuspect : 0)
            | (keepsPlace ? Self.keepsPlace : 0)
    }
}

extension Record {
    fileprivate var flags: UInt8 { Flags.of(isOwned, isSuspect, keepsPlace) }
}

extension Update {
    fileprivate var flags: UInt8 { Flags.of(isOwned, isSuspect, keepsPlace) }
}

extension EntryReader {
    private func position(at start: Int) -> LogPosition {
        LogPosition(
            segment: number(UInt32.self, at: start), offset: number(UInt32.self, at: start + 4),
            length: number(UInt32.self, at: start + 8))
    }

    private mutating func state(at start: Int) -> MessageState {
        if let state = MessageState(rawValue: number(UInt8.self, at: start)) { return state }
        fail()
        return .ready
    }

    mutating func record() -> Record {
        var record = Record()
        guard let start = skip(Record.size) else { return record }
        record.number = number(UInt64.self, at: start)
        record.queue = number(UInt16.self, at: start + 8)
        record.state = state(at: start + 10)
        record.priority = min(number(UInt8.self, at: start + 11), 9)
        let flags = number(UInt8.self, at: start + 12)
        record.isOwned = flags & Flags.isOwned != 0
        record.isSuspect = flags & Flags.isSuspect != 0
        record.keepsPlace = flags & Flags.keepsPlace != 0
        record.isAtMostOnce = number(UInt8.self, at: start + 13) & 1 != 0
        record.attempts = number(UInt16.self, at: start + 14)
        record.time = number(Int64.self, at: start + 16)
        record.expiry = number(Int64.self, at: start + 24)
        record.token = number(UInt32.self, at: start + 32)
        record.started = number(UInt32.self, at: start + 36)
        record.key = number(UInt64.self, at: start + 40)
        record.position = position(at: start + 48)
        let history = position(at: start + 60)
        record.history = history.segment == 0 && history.offset == 0 ? nil : history
        return record
    }

    mutating func update() -> Update {
        guard let start = skip(Update.size) else {
            return Update(number: 0, state: .ready, attempts: 0, time: 0)
        }
        let flags = number(UInt8.self, at: start + 9)
        return Update(
            number: number(UInt64.self, at: start), state: state(at: start + 8),
            attempts: number(UInt16.self, at: start + 10), isOwned: flags & Flags.isOwned != 0,
            isSuspect: flags & Flags.isSuspect != 0, keepsPlace: flags & Flags.keepsPlace != 0,
            time: number(Int64.self, at: start + 12),
            token: number(UInt32.self, at: start + 20),
            started: number(UInt32.self, at: start + 24))
    }

    mutating func known() -> KnownID {
        let high = integer(UInt64.self)
        let low = integer(UInt64.self)
        let until = integer(Int64.self)
        return KnownID(
            id: IDHash(high: high, low: low), until: until, number: integer(UInt64.self))
    }

    mutating func suspect() -> SuspectRecord {
        let number = integer(UInt64.self)
        let group = integer(UInt32.self)
        return SuspectRecord(
            number: number,
            suspect: PoisonTrial.Suspect(group: group, deaths: integer(UInt8.self)))
    }

    /// A count; nil when a later version has made one that is not known here.
    mutating func total() -> TotalRecord? {
        let queue = integer(UInt16.self)
        let tally = QueueTotals.Tally(rawValue: integer(UInt8.self))
        let value = integer(UInt64.self)
        return tally.map { TotalRecord(queue: queue, tally: $0, value: value) }
    }

    mutating func numbers() -> [UInt64] {
        var numbers: [UInt64] = []
        numbers.reserveCapacity(remaining / 8)
        while remaining >= 8 { numbers.append(integer(UInt64.self)) }
        return numbers
    }
}

extension Operation {
    /// Reads an entry of the queues; nil when it is not one. `position` is the entry's own, and
    /// `bodyOffset` where its frame's body begins.
    static func read(
        _ kind: UInt8, _ bytes: RawSpan, at position: LogPosition, bodyOffset: UInt32
    ) -> Operation? {
        var reader = EntryReader(bytes)
        let operation: Operation
        switch Kind(rawValue: kind) {
        case .message:
            var record = reader.record()
            record.position = position
            operation = .record(record)
        case .record:
            var record = reader.record()
            record.resolve(position, bodyOffset: bodyOffset, hasHistory: !reader.isAtEnd)
            operation = .record(record)
        case .updates:
            var updates: [Update] = []
            updates.reserveCapacity(reader.remaining / Update.size)
            while !reader.isAtEnd { updates.append(reader.update()) }
            operation = .updates(updates)
        case .removes: operation = .removes(reader.numbers())
        case .remembered:
            var known: [KnownID] = []
            while !reader.isAtEnd { known.append(reader.known()) }
            operation = .remembered(known)
        case .queue:
            let number = reader.integer(UInt16.self)
            let flags = reader.integer(UInt8.self)
            operation = .queue(
                QueueRecord(
                    queue: number, isPublishPaused: flags & 1 != 0,
                    isConsumePaused: flags & 2 != 0, name: reader.text() ?? ""))
        case .counter: operation = .counter(reader.integer(UInt64.self))
        case .moved:
            let count = Int(reader.integer(UInt32.self))
            var numbers: [UInt64] = []
            for _ in 0..<min(count, reader.remaining / 8) {
                numbers.append(reader.integer(UInt64.self))
            }
            operation = .moved(numbers, position)
        case .suspects:
            var suspects: [SuspectRecord] = []
            while !reader.isAtEnd { suspects.append(reader.suspect()) }
            operation = .suspects(suspects)
        case .totals:
            var totals: [TotalRecord] = []
            while !reader.isAtEnd {
                if let total = reader.total() { totals.append(total) }
            }
            operation = .totals(totals)
        case nil: return nil
        }
        return reader.isBroken ? nil : operation
    }
}

extension Record {
    /// Turns places inside the frame into places in the log.
    mutating func resolve(_ own: LogPosition, bodyOffset: UInt32, hasHistory: Bool) {
        if position.segment == 0 {
            position.segment = own.segment
            position.offset += bodyOffset
        }
        if hasHistory { history = own }
    }
}
