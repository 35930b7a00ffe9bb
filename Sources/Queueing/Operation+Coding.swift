internal import Journal

extension [UInt8] {
    /// 72 bytes: number u64, queue u16, state u8, priority u8, deaths and owner u8, at most once
    /// u8, attempts u16, time i64, expiry i64, token u32, started u32, key u64, position and
    /// history of three u32 each. Words are put together first: growing an array once is cheaper
    /// than often.
    mutating func put(_ record: Record) {
        // Zero says there is none: no entry begins at the start of a segment.
        let history = record.history ?? LogPosition(segment: 0, offset: 0, length: 0)
        let labels =
            UInt64(record.queue) | UInt64(record.state.rawValue) << 16
            | UInt64(record.priority) << 24
            | UInt64(record.deaths | (record.isOwned ? 0x80 : 0)) << 32
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

    /// 28 bytes: number u64, state u8, deaths and owner u8, attempts u16, time i64, token u32,
    /// started u32.
    mutating func put(_ update: Update) {
        let labels =
            UInt32(update.state.rawValue)
            | UInt32(update.deaths | (update.isOwned ? 0x80 : 0)) << 8
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
        record.deaths = flags & 3
        record.isOwned = flags & 0x80 != 0
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
            attempts: number(UInt16.self, at: start + 10), deaths: flags & 3,
            isOwned: flags & 0x80 != 0, time: number(Int64.self, at: start + 12),
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
