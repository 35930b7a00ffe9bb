/// What a store has, so that it is missed when it goes missing: a file cannot say that itself.
///
/// Two copies lie in the store's directory, MANIFEST.a and MANIFEST.b; the newer one that is valid
/// counts, and the older one is written over, as a whole, when a segment or a snapshot is made or
/// given up, and when the store is closed. How far the log is durable in between stands in
/// POSITION.
///
///     manifest 1
///     store HEX
///     generation N
///     durable SEQUENCE
///     segment NUMBER FIRST LAST END FIRST_TIME LAST_TIME MESSAGES
///     snapshot SEQUENCE
///     end CRC32C of all lines before, in hexadecimal
struct StoreManifest: Hashable, Sendable {
    /// One segment, as far as it was known when the manifest was written.
    struct Segment: Hashable, Sendable {
        var number: UInt32
        var firstSequence: UInt64
        /// The last transaction; one before the first when there was none.
        var lastSequence: UInt64
        /// Where its last frame ends, in bytes.
        var end: Int = SegmentHeader.size
        /// When the first and the last were written, in microseconds since 1970; 0 for not known.
        var firstTime: Int64 = 0
        var lastTime: Int64 = 0
        /// How many messages were published in it, as far as that was counted.
        var messages: UInt64 = 0

        /// What is gone when it is gone.
        var text: String {
            guard lastSequence >= firstSequence else { return "no frames" }
            var parts = ["frames \(firstSequence) to \(lastSequence)"]
            if messages > 0 { parts.append("\(messages) messages") }
            if firstTime > 0 {
                parts.append("\(UTCTime.text(firstTime)) to \(UTCTime.text(lastTime))")
            }
            return parts.joined(separator: ", ")
        }
    }

    var store: StoreIdentity
    var generation: UInt64 = 0
    /// Up to here everything was acknowledged, and must be there.
    var durableSequence: UInt64 = 0
    /// In the order of their numbers.
    var segments: [Segment] = []
    var snapshots: [UInt64] = []

    static let names = ["MANIFEST.a", "MANIFEST.b"]
    private static let format = "manifest 1"

    init(store: StoreIdentity) { self.store = store }

    func encoded() -> [UInt8] {
        var lines = [
            Self.format, "store \(store)", "generation \(generation)", "durable \(durableSequence)",
        ]
        for segment in segments {
            lines.append(
                "segment \(segment.number) \(segment.firstSequence) \(segment.lastSequence) "
                    + "\(segment.end) \(segment.firstTime) \(segment.lastTime) \(segment.messages)")
        }
        lines += snapshots.map { "snapshot \($0)" }
        let text = Array((lines.joined(separator: "\n") + "\n").utf8)
        let checksum = unsafe Checksum.of(text.span.bytes)
        return text + Array("end \(String(checksum, radix: 16))\n".utf8)
    }

    /// Nil when it is not whole.
    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.popLast()?.isEmpty == true, let last = lines.popLast(), last.hasPrefix("end "),
            let checksum = UInt32(last.dropFirst(4), radix: 16),
            lines.first.map(String.init) == Self.format
        else { return nil }
        let body = Array(bytes.dropLast(last.utf8.count + 1))
        guard unsafe Checksum.of(body.span.bytes) == checksum else { return nil }
        var found: StoreManifest?
        for line in lines.dropFirst() {
            let words = line.split(separator: " ")
            guard let name = words.first else { return nil }
            if name == "store", words.count == 2, let store = StoreIdentity(words[1]) {
                found = StoreManifest(store: store)
                continue
            }
            let numbers = words.dropFirst().compactMap { Int64($0) }
            guard found != nil, numbers.count == words.count - 1 else { return nil }
            found?.add(name, numbers)
        }
        guard let found else { return nil }
        self = found
    }

    private mutating func add(_ name: Substring, _ numbers: [Int64]) {
        switch (name, numbers.count) {
        case ("generation", 1): generation = UInt64(clamping: numbers[0])
        case ("durable", 1): durableSequence = UInt64(clamping: numbers[0])
        case ("snapshot", 1): snapshots.append(UInt64(clamping: numbers[0]))
        case ("segment", 7):
            segments.append(
                Segment(
                    number: UInt32(clamping: numbers[0]),
                    firstSequence: UInt64(clamping: numbers[1]),
                    lastSequence: UInt64(clamping: numbers[2]), end: Int(clamping: numbers[3]),
                    firstTime: numbers[4],
                    lastTime: numbers[5], messages: UInt64(clamping: numbers[6])))
        default: break  // What later versions add.
        }
    }
}

// MARK: On the disk

extension StoreManifest {
    /// The newest valid copy, with what POSITION knows beyond it; nil for a store that has none.
    static func read<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity
    ) throws(DiskError) -> StoreManifest? {
        var newest: StoreManifest?
        for name in names where try disk.exists("\(layout.directory)/\(name)") {
            let bytes = try disk.contents("\(layout.directory)/\(name)")
            guard let found = StoreManifest(bytes), found.store == store,
                found.generation >= newest?.generation ?? 0
            else { continue }
            newest = found
        }
        guard var manifest = newest else { return nil }
        if try disk.exists(layout.position) {
            let bytes = try disk.contents(layout.position)
            if let position = DurablePosition.newest(bytes, of: store) { manifest.take(position) }
        }
        return manifest
    }

    private mutating func take(_ position: DurablePosition) {
        guard position.sequence > durableSequence, var last = segments.indices.last,
            position.segment >= segments[last].number
        else { return }
        if position.segment > segments[last].number {
            // The copy that names it is damaged.
            segments[last].lastSequence = max(segments[last].lastSequence, durableSequence)
            segments.append(
                Segment(
                    number: position.segment, firstSequence: segments[last].lastSequence + 1,
                    lastSequence: position.sequence))
            last += 1
        }
        durableSequence = position.sequence
        segments[last].lastSequence = position.sequence
        segments[last].lastTime = position.timeMicroseconds
        if segments[last].firstTime == 0 { segments[last].firstTime = position.timeMicroseconds }
        segments[last].messages = max(segments[last].messages, position.messages)
    }

    /// Writes it over the older copy.
    func write<Place: Disk>(_ layout: StoreLayout, _ disk: Place) throws(DiskError) {
        let name = Self.names[Int(generation % UInt64(Self.names.count))]
        try disk.writeAtomically(encoded(), to: name, in: layout.directory)
    }

    /// What is not there although it should be, each in one line with what it held.
    func missing<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place
    ) throws(DiskError) -> [MissingSegment] {
        var found: [MissingSegment] = []
        for segment in segments {
            let path = layout.segment(segment.number)
            var problem: String?
            if try !disk.exists(path) {
                problem = "the segment is missing"
            } else {
                let file = try disk.open(path, .read)
                let size = try file.size()
                let head = try file.bytes(at: 0, count: SegmentHeader.size)
                if size == 0 {
                    problem = "the segment is empty"
                } else if case .invalid = SegmentHeader.read(head) {
                    problem = "damaged at byte 0: the header of the segment is not valid"
                } else if size < segment.end {
                    problem = "the segment has \(size) bytes and had \(segment.end)"
                }
            }
            if let problem {
                found.append(MissingSegment(segment: segment, path: path, problem: problem))
            }
        }
        return found
    }
}

/// A segment that is not as it was, and what it held.
struct MissingSegment: Hashable, Sendable {
    var segment: StoreManifest.Segment
    var path: String
    var problem: String

    var text: String { "\(path): \(problem); it held \(segment.text)" }
}

/// How far the log is durable, written after each sync and without waiting: after the process has
/// died, all of it is there; after a power cut perhaps an older one.
///
///     two slots of 64 bytes: magic u32 | CRC32C of what follows u32 | store u64 | sequence u64
///     | time i64 | messages u64 | segment u32
struct DurablePosition: Hashable, Sendable {
    var sequence: UInt64
    var segment: UInt32
    var timeMicroseconds: Int64
    var messages: UInt64

    static let slotSize = 64
    private static let magic: UInt32 = 0x4450_5754

    func encoded(_ store: StoreIdentity) -> [UInt8] {
        var body: [UInt8] = Array(store.bytes.prefix(8))
        body.put(sequence)
        body.put(timeMicroseconds)
        body.put(messages)
        body.put(segment)
        var bytes: [UInt8] = []
        bytes.put(Self.magic)
        bytes.put(unsafe Checksum.of(body.span.bytes))
        bytes += body
        return bytes + [UInt8](repeating: 0, count: Self.slotSize - bytes.count)
    }

    static func newest(_ bytes: [UInt8], of store: StoreIdentity) -> DurablePosition? {
        stride(from: 0, to: bytes.count, by: slotSize).compactMap { start in
            slot(Array(bytes[start..<min(bytes.count, start + slotSize)]), store)
        }.max { $0.sequence < $1.sequence }
    }

    private static func slot(_ bytes: [UInt8], _ store: StoreIdentity) -> DurablePosition? {
        let span = unsafe bytes.span.bytes
        guard span.byteCount == slotSize, span.number(UInt32.self, at: 0) == magic,
            span.number(UInt32.self, at: 4) == Checksum.of(span.extracting(8..<44)),
            Array(bytes[8..<16]) == Array(store.bytes.prefix(8))
        else { return nil }
        return DurablePosition(
            sequence: span.number(UInt64.self, at: 16),
            segment: span.number(UInt32.self, at: 40),
            timeMicroseconds: span.number(Int64.self, at: 24),
            messages: span.number(UInt64.self, at: 32))
    }
}
