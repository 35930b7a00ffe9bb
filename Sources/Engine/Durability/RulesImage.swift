internal import Scripting

/// The state of rules as it was last committed: an image of its entries, and changes that are not
/// in the image yet. At a start everything waits, so that the first record does not wait for what
/// only a snapshot needs. One thread owns it.
struct RulesImage: ~Copyable {
    private var image = StateImage()
    /// Changes in order; those before `next` are in the image.
    private var waiting: [[UInt8]] = []
    private var next = 0
    private var waitingBytes = 0
    /// So many of those that wait are of the snapshot that the store began with.
    private var ofSnapshot: Int?
    private var defers = false

    init() {}

    /// True when there is nothing. What waits may turn out to be nothing in the end.
    var isEmpty: Bool { image.count == 0 && !isWaiting }
    /// True when changes are not in the image yet.
    var isWaiting: Bool { next < waiting.count }
    /// About what a snapshot of it takes.
    var byteCount: Int { image.liveByteCount + waitingBytes }

    /// What comes now is a snapshot, until `endRestoring`. With `defers` it waits, as do the
    /// changes behind it until `settleOne` has come to its end.
    mutating func beginRestoring(defers: Bool) {
        image.beginRestoring()
        self.defers = defers
    }

    /// What comes now are commits.
    mutating func endRestoring() {
        if isWaiting { ofSnapshot = waiting.count } else { image.endRestoring() }
    }

    /// Takes changes in, as `RuleVM.encodeStateChanges` writes them.
    mutating func apply(_ bytes: RawSpan) {
        guard defers else { return put(bytes) }
        waiting.append(bytes.array)
        waitingBytes += bytes.byteCount
    }

    /// Puts one piece of what waits into the image; false when nothing waits.
    mutating func settleOne() -> Bool {
        guard isWaiting else { return false }
        var bytes: [UInt8] = []
        swap(&bytes, &waiting[next])
        unsafe put(bytes.span.bytes)
        waitingBytes -= bytes.count
        next += 1
        if next == ofSnapshot {
            ofSnapshot = nil
            image.endRestoring()
        }
        if !isWaiting {
            waiting = []
            next = 0
            defers = false
        }
        return true
    }

    /// Puts all of it into the image.
    mutating func settle() {
        while settleOne() {}
    }

    /// Calls with up to `limit` entries from place `start` on, when nothing waits; returns where to
    /// go on, or nil at the end.
    func slice(
        from start: Int, limit: Int, _ body: (_ key: RawSpan, _ change: RawSpan) -> Void
    ) -> Int? {
        precondition(!isWaiting, "what waits is in no slice")
        return image.slice(from: start, limit: limit, body)
    }

    /// Where in a key the name of the stage is.
    static func stage(ofKey key: RawSpan) -> Range<Int> {
        7..<(7 + (Int(key.byte(1)) | Int(key.byte(2)) << 8))
    }

    /// An entry is known by its kind, partition, stage and key; all of the change is its value.
    private mutating func put(_ bytes: RawSpan) {
        var prefix = [UInt8](repeating: 0, count: 7)
        EncodedStateChange.forEach(in: bytes) { change, name, isGone in
            prefix[0] = change.byte(0)
            prefix[1] = change.byte(2)
            prefix[2] = change.byte(3)
            for index in 0..<4 { prefix[3 + index] = change.byte(12 + index) }
            if isGone {
                image.remove(prefix, change.extracting(name))
            } else {
                image.put(prefix, change.extracting(name), change)
            }
        }
    }
}
