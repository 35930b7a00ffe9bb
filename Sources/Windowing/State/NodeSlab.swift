/// Fixed-width entries that come and go one by one: the sessions, panes or records of keys.
///
/// An entry is named by a number above 0 that is used again when the entry is gone. It begins
/// with a time and a second time, neighbours in the list of its key, and its key with flags.
@safe
final class NodeSlab {
    /// Flags of a node.
    enum Flag {
        static let live: UInt64 = 1 << 32
        /// It has changed since the journal asked.
        static let dirty: UInt64 = 1 << 33
        /// The journal knows it.
        static let stored: UInt64 = 1 << 34
        /// It has changed since its row was written.
        static let changed: UInt64 = 1 << 35
        /// Its window has ended.
        static let fired: UInt64 = 1 << 36
        /// Its values are part of the key's `back`.
        static let back: UInt64 = 1 << 37
        /// It holds the values of all nodes from here to the newest one that is `front`.
        static let front: UInt64 = 1 << 38
    }

    /// Words before those of the accumulators.
    let header: Int
    /// Words of the accumulators.
    let width: Int
    private(set) var count = 0
    private let stride: Int
    private var base: UnsafeMutablePointer<UInt64>
    private var capacity = 0
    /// Numbers below have been used at some time.
    private var limit = 0
    /// The first of the free numbers, which form a list.
    private var free: UInt32 = 0

    init(header: Int, width: Int) {
        self.header = header
        self.width = width
        stride = header + width
        unsafe base = SlabMemory.zeros(UInt64.self, 0)
    }

    deinit { unsafe SlabMemory.release(base, capacity * stride) }

    var byteCount: Int { capacity * stride * 8 }

    /// The header of a node.
    @inline(__always)
    func head(_ node: UInt32) -> Words {
        assert(node > 0 && node <= limit, "no such node")
        return unsafe Words(base + (Int(node) - 1) * stride)
    }

    /// The words of a node's accumulators.
    @inline(__always)
    func words(_ node: UInt32) -> Words { head(node).from(header) }

    @inline(__always)
    func time(_ node: UInt32) -> Int64 { Int64(bitPattern: head(node)[0]) }

    @inline(__always)
    func second(_ node: UInt32) -> Int64 { Int64(bitPattern: head(node)[1]) }

    func setTimes(_ node: UInt32, _ time: Int64, _ second: Int64) {
        let head = head(node)
        head[0] = UInt64(bitPattern: time)
        head[1] = UInt64(bitPattern: second)
    }

    /// The node before it in the list of its key, or 0.
    @inline(__always)
    func older(_ node: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: head(node)[2]) }

    /// The node behind it, or 0.
    @inline(__always)
    func newer(_ node: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: head(node)[2] >> 32) }

    func link(_ node: UInt32, older: UInt32, newer: UInt32) {
        head(node)[2] = UInt64(newer) << 32 | UInt64(older)
    }

    /// The entry of its key.
    @inline(__always)
    func key(_ node: UInt32) -> Int { Int(truncatingIfNeeded: head(node)[3] & 0xFFFF_FFFF) }

    func setKey(_ node: UInt32, _ key: Int) {
        let head = head(node)
        head[3] = head[3] & ~0xFFFF_FFFF | UInt64(key)
    }

    @inline(__always)
    func has(_ flag: UInt64, _ node: UInt32) -> Bool { head(node)[3] & flag != 0 }

    @inline(__always)
    func set(_ flag: UInt64, _ node: UInt32) { head(node)[3] |= flag }

    @inline(__always)
    func clear(_ flag: UInt64, _ node: UInt32) { head(node)[3] &= ~flag }

    /// How often the number has been used, to tell a node from an earlier one.
    @inline(__always)
    func generation(_ node: UInt32) -> UInt16 { UInt16(truncatingIfNeeded: head(node)[3] >> 48) }

    @inline(__always)
    func isLive(_ node: UInt32) -> Bool {
        node > 0 && node <= limit && head(node)[3] & Flag.live != 0
    }

    /// A node of zeros.
    func insert(key: Int) -> UInt32 {
        let node: UInt32
        var generation: UInt64 = 0
        if free > 0 {
            node = free
            free = UInt32(truncatingIfNeeded: head(node)[0])
            generation = head(node)[3] >> 48
        } else {
            if limit == capacity { grow() }
            limit += 1
            node = UInt32(limit)
            unsafe (base + (limit - 1) * stride).initialize(repeating: 0, count: stride)
        }
        let head = head(node)
        head.clear(stride)
        head[3] = UInt64(key) | Flag.live | ((generation &+ 1) & 0xFFFF) << 48
        count += 1
        return node
    }

    /// The number may be used again. Whoever removes a node has released its words.
    func remove(_ node: UInt32) {
        let head = head(node)
        head[3] = head[3] & 0xFFFF << 48
        head[0] = UInt64(free)
        free = node
        count -= 1
    }

    private func grow() {
        resize(max(16, capacity + capacity / 2))
    }

    private func resize(_ grown: Int) {
        unsafe base = SlabMemory.resize(base, from: capacity * stride, to: grown * stride)
        capacity = grown
    }

    /// Reads ahead what is about to be used.
    @inline(__always)
    func touch(_ node: UInt32) -> UInt64 {
        if node == 0 { return 0 }
        let head = head(node)
        return head[0] &+ head[stride - 1]
    }

    /// All nodes, in the order of their numbers.
    func forEach(_ body: (UInt32) -> Void) {
        var node: UInt32 = 1
        while Int(node) <= limit {
            if head(node)[3] & Flag.live != 0 { body(node) }
            node += 1
        }
    }

    /// True when most of the memory holds nothing.
    var wantsCompacting: Bool { limit > 256 && count * 4 < limit }

    /// Gives memory back. The result is each old number's new one; links are right again.
    func compact() -> [UInt32] {
        var moved = [UInt32](repeating: 0, count: limit + 1)
        var next: UInt32 = 0
        forEach { node in
            next += 1
            moved[Int(node)] = next
            if node != next {
                unsafe (base + (Int(next) - 1) * stride).update(
                    from: base + (Int(node) - 1) * stride, count: stride)
            }
        }
        limit = Int(next)
        free = 0
        resize(limit + limit / 4)
        for node in 0..<UInt32(limit) {
            let node = node + 1
            link(node, older: moved[Int(older(node))], newer: moved[Int(newer(node))])
        }
        return moved
    }
}
