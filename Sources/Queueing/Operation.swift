internal import Journal

/// What the log says happened. Each one is absolute: it says how things are from now on, never how
/// they change, so that applying it twice, or over a newer state and then what followed, does no
/// harm.
enum Operation {
    /// This message has these values, and its body lies there; its history may follow.
    case record(Record)
    /// These messages stand so.
    case updates([Update])
    /// These messages are gone.
    case removes([UInt64])
    /// These ids are known until then.
    case remembered([KnownID])
    /// A queue of this number has this name, and is paused or not.
    case queue(QueueRecord)
    /// Numbers go on from here.
    case counter(UInt64)
    /// The body of these messages lies here now.
    case moved([UInt64], LogPosition)
    /// These messages were under way in a process that died.
    case suspects([SuspectRecord])
    /// These counts of queues stand so.
    case totals([TotalRecord])

    /// The kinds of entries; from `foreignKind` on they are not the queues'.
    enum Kind: UInt8 {
        case message = 1
        case record = 2
        case updates = 3
        case removes = 5
        case remembered = 6
        case queue = 7
        case counter = 8
        case moved = 9
        case suspects = 10
        case totals = 11
    }
    static let foreignKind: UInt8 = 64
}

/// Everything memory keeps of a message.
struct Record: Hashable {
    var number: UInt64 = 0
    var queue: UInt16 = 0
    var state = MessageState.ready
    var priority: UInt8 = 4
    var isOwned = false
    var isSuspect = false
    var keepsPlace = false
    var isAtMostOnce = false
    var attempts: UInt16 = 0
    var time: Int64 = 0
    var expiry: Int64 = 0
    var token: UInt32 = 0
    /// When the lease, or the wait for `time`, began: the low 32 bits of milliseconds; zero for a
    /// wait until a given time.
    var started: UInt32 = 0
    /// Ordering keys as a hash; zero for none.
    var key: UInt64 = 0
    /// Where the body lies. In a frame, segment zero means the same frame.
    var position = LogPosition(segment: 0, offset: 0, length: 0)
    var history: LogPosition?

    /// True when its body is in memory alone.
    var isVolatile: Bool { position.segment == QueueSet.volatileSegment }

    static let size = 72
}

/// What changes most often.
struct Update: Hashable {
    var number: UInt64
    var state: MessageState
    var attempts: UInt16
    var isOwned = false
    var isSuspect = false
    var keepsPlace = false
    var time: Int64
    var token: UInt32 = 0
    var started: UInt32 = 0

    static let size = 28
}

/// An id that was published, as a hash.
struct KnownID: Hashable {
    var id: IDHash
    var until: Int64
    var number: UInt64
}

/// 128 bits that stand for an id in a queue.
struct IDHash: Hashable {
    var high: UInt64
    var low: UInt64

    /// The queue's number is part of it, so that ids are told apart by queue.
    init(queue: UInt16, id: String) {
        var first = Fingerprint(seed: UInt64(queue) &+ 0x51_7C_C1_B7)
        var second = Fingerprint(seed: ~UInt64(queue) &* 0x9E37_79B9_7F4A_7C15)
        for byte in id.utf8 {
            first.add(byte)
            second.add(byte)
        }
        high = first.value
        low = second.value
    }

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The hash of an ordering key in a queue; never zero.
    static func key(queue: UInt16, _ key: String) -> UInt64 {
        max(1, IDHash(queue: queue, id: key).high)
    }
}

/// FNV-1a with a final mix (MurmurHash3's), so that every bit depends on every byte.
private struct Fingerprint {
    private var state: UInt64

    init(seed: UInt64) { state = 0xCBF2_9CE4_8422_2325 ^ seed &* 0xFF51_AFD7_ED55_8CCD }

    mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }

    var value: UInt64 {
        var mixed = state
        mixed = (mixed ^ mixed >> 33) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ mixed >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return mixed ^ mixed >> 33
    }
}

/// A message that may have killed its process.
struct SuspectRecord: Hashable {
    var number: UInt64
    var suspect: PoisonTrial.Suspect
}

/// How far one count of a queue has come since its store was made.
struct TotalRecord: Hashable {
    var queue: UInt16
    var tally: QueueTotals.Tally
    var value: UInt64
}

/// What the log knows of a queue itself.
struct QueueRecord: Hashable {
    var queue: UInt16
    var isPublishPaused: Bool
    var isConsumePaused: Bool
    var name: String
}
