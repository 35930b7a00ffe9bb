/// What a pipeline writes into its store. Every entry is absolute: it says what is, not what
/// happened, so that reading one twice does no harm.
enum StoreEntry {
    /// Kinds below 64 belong to queues.
    enum Kind: UInt8 {
        /// Where sources and sinks stand.
        case positions = 64
        /// Changes of the state of rules.
        case rules = 65
        /// Changes of the windows of one stage.
        case windows = 66
        /// How far time has come.
        case times = 67
        /// A version of the rules, with all files.
        case version = 68
        /// What became of a version.
        case outcome = 69
        /// A run that has begun or ended.
        case run = 70
        /// When schedules were last due.
        case schedules = 71
        /// How many partitions there are.
        case partitions = 72
        /// Rows that a sink gets once their commit is kept.
        case outbox = 73
        /// How far the rows of sinks are delivered.
        case delivered = 74
    }

    /// Adds one name and what it stands for.
    static func add(_ name: [UInt8], _ value: [UInt8]?, to bytes: inout [UInt8]) {
        put(UInt32(name.count), to: &bytes)
        put(value.map { UInt32($0.count) } ?? .max, to: &bytes)
        bytes += name
        if let value { bytes += value }
    }

    /// Calls with each pair that `add` has written; a value of nil says that it is gone.
    static func forEach(
        _ bytes: RawSpan, _ body: (_ name: RawSpan, _ value: RawSpan?) -> Void
    ) {
        var offset = 0
        while offset + 8 <= bytes.byteCount {
            let nameLength = Int(number(bytes, at: offset))
            let length = number(bytes, at: offset + 4)
            let valueLength = length == .max ? 0 : Int(length)
            let start = offset + 8
            let middle = start + nameLength
            let end = middle + valueLength
            guard middle <= bytes.byteCount, end <= bytes.byteCount else { return }
            body(
                bytes.extracting(start..<middle),
                length == .max ? nil : bytes.extracting(middle..<end))
            offset = end
        }
    }

    private static func put(_ number: UInt32, to bytes: inout [UInt8]) {
        for shift in [0, 8, 16, 24] as [UInt32] {
            bytes.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    private static func number(_ bytes: RawSpan, at offset: Int) -> UInt32 {
        unsafe UInt32(
            littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}

extension RawSpan {
    /// The bytes as an array.
    var array: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
    /// The bytes as text.
    var text: String {
        unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
