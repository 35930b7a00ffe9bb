internal import Journal

/// Reads a store's snapshot and log into queues.
///
/// A snapshot is items of `length u32 | kind u8 | bytes`, which come in pieces cut anywhere.
struct StoreLoader {
    var queues: QueueSet
    var hasForeign = false
    private var rest: [UInt8] = []

    init() {
        queues = QueueSet()
        queues.isRecovering = true
        queues.isRestoring = true
    }

    mutating func restore(
        _ bytes: RawSpan, _ foreign: (UInt8, RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) {
        unsafe bytes.withUnsafeBytes { unsafe rest.append(contentsOf: $0) }
        var pieces: [UInt8] = []
        swap(&pieces, &rest)
        var offset = 0
        while true {
            let span = unsafe pieces.span.bytes
            guard offset + 5 <= span.byteCount else { break }
            let length = Int(span.number(UInt32.self, at: offset))
            let end = offset + 5 + length
            guard end <= span.byteCount else { break }
            let kind = span.number(UInt8.self, at: offset + 4)
            let own = LogPosition(segment: 0, offset: 0, length: 0)
            let item = span.extracting((offset + 5)..<end)
            try take(kind, item, own, bodyOffset: 0, foreign)
            offset = end
        }
        pieces.removeFirst(offset)
        swap(&pieces, &rest)
    }

    mutating func replay(
        _ frame: StoredFrame, _ foreign: (UInt8, RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) {
        try frame.forEachEntry { (kind, bytes, position) throws(JournalError) in
            try take(kind, bytes, position, bodyOffset: frame.bodyOffset, foreign)
        }
    }

    /// All of the snapshot was read, if there was one; false when that was said before.
    mutating func endRestoring() -> Bool {
        guard queues.isRestoring else { return false }
        queues.isRestoring = false
        queues.numbers.fill(queues.slots)
        return true
    }

    private mutating func take(
        _ kind: UInt8, _ bytes: RawSpan, _ position: LogPosition, bodyOffset: UInt32,
        _ foreign: (UInt8, RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) {
        if kind >= Operation.foreignKind {
            hasForeign = true
            try foreign(kind, bytes)
        } else if let operation = Operation.read(kind, bytes, at: position, bodyOffset: bodyOffset)
        {
            queues.apply(operation)
        } else {
            // The bytes are as they were written: another version's entry, not damage.
            throw JournalError(
                .newerFormat,
                "an entry of kind \(kind) is not known here; use the version of tidewheel that "
                    + "wrote the store")
        }
    }
}
