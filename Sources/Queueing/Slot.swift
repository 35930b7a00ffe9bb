internal import Journal

/// What memory keeps of one message: 52 bytes, whatever its payload. Times are milliseconds.
struct Slot: Hashable {
    static let none = UInt32.max

    private var numberLow: UInt32 = 0
    private var numberHigh: UInt16 = 0
    private var timeHigh: UInt16 = 0
    private var timeLow: UInt32 = 0
    private var expiryLow: UInt32 = 0
    private var expiryHigh: UInt16 = 0
    var queue: UInt16 = 0
    var segment: UInt32 = 0
    var offset: UInt32 = 0
    var length: UInt32 = 0
    /// Neighbours in the line of ready messages; while it is leased or waits for its time, the
    /// token and the start.
    var next = Self.none
    var previous = Self.none
    /// Neighbours in the timer wheel.
    var timerNext = Self.none
    var timerPrevious = Self.none
    private var labels: UInt16 = 0
    var attempts: UInt16 = 0

    var number: UInt64 {
        get { UInt64(numberHigh) << 32 | UInt64(numberLow) }
        set {
            numberLow = UInt32(truncatingIfNeeded: newValue)
            numberHigh = UInt16(truncatingIfNeeded: newValue >> 32)
        }
    }
    /// When it is due, until when it is leased, or since when it is ready.
    var time: Int64 {
        get { Int64(timeHigh) << 32 | Int64(timeLow) }
        set {
            timeLow = UInt32(truncatingIfNeeded: newValue)
            timeHigh = UInt16(truncatingIfNeeded: newValue >> 32)
        }
    }
    /// When its time to live is over; zero for never.
    var expiry: Int64 {
        get { Int64(expiryHigh) << 32 | Int64(expiryLow) }
        set {
            expiryLow = UInt32(truncatingIfNeeded: newValue)
            expiryHigh = UInt16(truncatingIfNeeded: newValue >> 32)
        }
    }
    /// The latest time a slot can hold, in the year 10889.
    static let latest: Int64 = 1 << 48 - 1

    /// Nil when the slot is free.
    var state: MessageState? {
        get { MessageState(rawValue: UInt8(labels & 7)) }
        set { labels = labels & ~7 | UInt16(newValue?.rawValue ?? 0) }
    }
    var priority: UInt8 {
        get { UInt8(labels >> 3 & 15) }
        set { labels = labels & ~(15 << 3) | UInt16(newValue) << 3 }
    }

    private subscript(bit: UInt16) -> Bool {
        get { labels >> bit & 1 == 1 }
        set { labels = labels & ~(1 << bit) | (newValue ? 1 << bit : 0) }
    }
    /// It was under way in a process that died, and is not cleared yet.
    var isSuspect: Bool {
        get { self[7] }
        set { self[7] = newValue }
    }
    /// Its number says where it stands among the ready ones, though no delivery of it counts.
    var keepsPlace: Bool {
        get { self[8] }
        set { self[8] = newValue }
    }
    var hasHistory: Bool {
        get { self[9] }
        set { self[9] = newValue }
    }
    var hasKey: Bool {
        get { self[10] }
        set { self[10] = newValue }
    }
    /// Ready, but another one of its ordering key goes first.
    var isBlocked: Bool {
        get { self[11] }
        set { self[11] = newValue }
    }
    /// Something in the transaction under way has it already.
    var isTouched: Bool {
        get { self[12] }
        set { self[12] = newValue }
    }
    /// The lease belongs to the process that owns the store.
    var isOwned: Bool {
        get { self[13] }
        set { self[13] = newValue }
    }
    /// It stands among those that came back, not in the line.
    var isReturned: Bool {
        get { self[14] }
        set { self[14] = newValue }
    }
    var isTimed: Bool {
        get { self[15] }
        set { self[15] = newValue }
    }

    var token: UInt32 {
        get { next }
        set { next = newValue }
    }
    /// When the lease or the wait began, in the low 32 bits of milliseconds: enough for 49 days.
    var started: UInt32 {
        get { previous }
        set { previous = newValue }
    }

    var position: LogPosition {
        get { LogPosition(segment: segment, offset: offset, length: length) }
        set {
            segment = newValue.segment
            offset = newValue.offset
            length = newValue.length
        }
    }

    /// When something happens to it by itself; zero for never.
    var deadline: Int64 {
        switch state {
        case .scheduled, .retrying: expiry == 0 ? time : min(time, expiry)
        case .leased: time
        case .ready: expiry
        case nil: 0
        }
    }
}

/// All slots, in pieces so that growing never moves them.
struct SlotTable {
    private static let pieceBits: UInt32 = 12
    private static let pieceSize = 1 << 12
    private var pieces: [ContiguousArray<Slot>] = []
    private var freeHead = Slot.none
    /// How many were ever used at once: indices are below.
    private(set) var end: UInt32 = 0

    subscript(index: UInt32) -> Slot {
        _read {
            yield pieces[Int(index >> Self.pieceBits)][Int(index) & (Self.pieceSize - 1)]
        }
        _modify {
            yield &pieces[Int(index >> Self.pieceBits)][Int(index) & (Self.pieceSize - 1)]
        }
    }

    /// A free slot's index; the slot is empty.
    mutating func take() -> UInt32 {
        if freeHead != Slot.none {
            let index = freeHead
            freeHead = self[index].timerNext
            self[index] = Slot()
            return index
        }
        if Int(end >> Self.pieceBits) == pieces.count {
            pieces.append(ContiguousArray(repeating: Slot(), count: Self.pieceSize))
        }
        precondition(end < 1 << 31, "two billion messages at most")
        end += 1
        return end - 1
    }

    mutating func free(_ index: UInt32) {
        self[index] = Slot()
        self[index].timerNext = freeHead
        freeHead = index
    }
}
