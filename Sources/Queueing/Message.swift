/// A message to be published.
public struct NewMessage: Sendable {
    /// The bytes that are handed over as they are.
    public var payload: [UInt8]
    /// Names and values of its own.
    public var headers: [Header] = []
    /// 0 to 9; 9 is the most urgent.
    public var priority: UInt8 = 4
    /// Its id, which duplicates are told by; nil to be given one.
    public var id: String?
    /// Messages of one key are delivered one at a time, in order.
    public var orderingKey: String?
    /// What it belongs to, for the reader.
    public var correlation: String?
    /// When it may be received at the earliest, in microseconds since 1970; nil for at once.
    public var at: Int64?
    /// How long it waits, in milliseconds.
    public var delay: Int64 = 0
    /// How long it lives from now on, in milliseconds; nil for as long as the queue says.
    public var ttl: Int64?
    /// `atMostOnce`: it is gone, durably, before it is handed over; nil for what the queue says.
    public var delivery: QueueDelivery?

    /// A message with the defaults.
    public init(_ payload: [UInt8]) { self.payload = payload }
}

/// A name and a value that go with a message.
public struct Header: Sendable, Hashable {
    /// The name.
    public var name: String
    /// The value.
    public var value: String

    /// Creates one.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What became of a message that was published.
public struct Published: Sendable, Hashable {
    /// Its id; of the first one when it is a duplicate.
    public var id: String { given ?? MessageID.text(number: number, milliseconds: milliseconds) }
    /// True when a message of that id was published before; nothing was added.
    public var isDuplicate = false
    /// True when that one waited for its time and has given way to this one.
    public var isReplacement = false
    /// Its number in the store.
    public var number: UInt64
    let given: String?
    let milliseconds: Int64
}

/// A message that was handed over, or looked at.
public struct Message: Sendable {
    /// Its number in the store.
    public var number: UInt64
    /// Its id: the one it was published with, or the one it was given.
    public var id: String {
        given ?? MessageID.text(number: number, milliseconds: publishedAt / 1000)
    }
    let given: String?
    /// The queue it stands in.
    public var queue: String
    /// The bytes as they were published.
    public var payload: [UInt8]
    /// Names and values of its own.
    public var headers: [Header]
    /// What it belongs to.
    public var correlation: String?
    /// Its ordering key.
    public var orderingKey: String?
    /// 0 to 9.
    public var priority: UInt8
    /// Which delivery this is, from 1.
    public var attempt: Int
    /// Where it stands.
    public var state: MessageState
    /// When it was published, in microseconds since 1970.
    public var publishedAt: Int64
    /// Until when it is leased, or when it is due, in milliseconds since 1970; otherwise nil.
    public var until: Int64?
    /// What its lease is settled with; nil when it is only looked at.
    public var receipt: Receipt?
    /// What happened to it before, when anything did.
    public var history: MessageHistory?
    /// Its bytes have changed on the disk, so that there is no payload.
    public internal(set) var isDamaged = false
}

/// Ids the store gives: unique in it and sortable by time.
enum MessageID {
    private static let digits = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    static func text(number: UInt64, milliseconds: Int64) -> String {
        unsafe String(unsafeUninitializedCapacity: 20) { buffer in
            unsafe put(UInt64(max(0, milliseconds)), 10, at: 0, buffer)
            unsafe put(number, 10, at: 10, buffer)
            return 20
        }
    }

    private static func put(
        _ value: UInt64, _ count: Int, at start: Int,
        _ buffer: UnsafeMutableBufferPointer<UInt8>
    ) {
        var rest = value
        for index in stride(from: start + count - 1, through: start, by: -1) {
            unsafe buffer[index] = digits[Int(rest & 31)]
            rest >>= 5
        }
    }

    /// The number inside an id the store gave; nil for others.
    static func number(in text: String) -> UInt64? {
        guard text.utf8.count == 20 else { return nil }
        var number: UInt64 = 0
        for byte in text.utf8.dropFirst(10) {
            guard let digit = digits.firstIndex(of: byte) else { return nil }
            number = number << 5 | UInt64(digit)
        }
        return number
    }
}
