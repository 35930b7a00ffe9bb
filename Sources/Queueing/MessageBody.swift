internal import Journal

/// What of a message never changes, as it lies in the log behind the record: published i64, id, key
/// and correlation as texts, headers, and the payload up to the end, verbatim.
struct MessageBody {
    var publishedAt: Int64
    var id: String?
    var orderingKey: String?
    var correlation: String?
    var headers: [Header]
    var payload: [UInt8]

    /// Everything before the payload.
    static func put(_ message: borrowing NewMessage, publishedAt: Int64, into bytes: inout [UInt8])
    {
        bytes.put(publishedAt)
        if message.id == nil, message.orderingKey == nil, message.correlation == nil,
            message.headers.isEmpty
        {
            // Three texts that are not there, and no headers.
            bytes.put(UInt64.max)
            bytes.put(UInt64(UInt32.max))
            bytes.removeLast(2)
            return
        }
        bytes.put(text: message.id)
        bytes.put(text: message.orderingKey)
        bytes.put(text: message.correlation)
        bytes.put(UInt16(message.headers.count))
        for header in message.headers {
            bytes.put(text: header.name)
            bytes.put(text: header.value)
        }
    }

    /// Reads an entry of a message; nil when it is none.
    init?(_ entry: RawSpan) {
        var reader = EntryReader(entry, at: Record.size)
        publishedAt = reader.integer(Int64.self)
        id = reader.text()
        orderingKey = reader.text()
        correlation = reader.text()
        headers = []
        for _ in 0..<reader.integer(UInt16.self) {
            headers.append(Header(reader.text() ?? "", reader.text() ?? ""))
        }
        payload = reader.array(reader.remaining)
        if reader.isBroken { return nil }
    }
}

/// Numbers for tokens and jitter: SplitMix64 (Steele, Lea, Flood 2014).
struct StoreRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
