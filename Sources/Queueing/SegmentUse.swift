/// How much of each segment is still needed.
struct SegmentUse {
    private var counts: [UInt32: (messages: Int, bytes: Int)] = [:]
    private var lastSegment: UInt32 = 0
    private var last: (messages: Int, bytes: Int) = (0, 0)

    mutating func add(_ segment: UInt32, _ messages: Int, _ bytes: Int) {
        if segment != lastSegment {
            store()
            lastSegment = segment
            last = counts[segment] ?? (0, 0)
        }
        last.messages += messages
        last.bytes += bytes
    }

    private mutating func store() {
        counts[lastSegment] = last.messages == 0 ? nil : last
    }

    /// The segments where something lies that is still needed, and how many bytes.
    var live: [UInt32: Int] {
        var all = counts
        all[lastSegment] = last.messages == 0 ? nil : last
        return all.mapValues(\.bytes)
    }
}
