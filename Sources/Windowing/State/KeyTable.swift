/// A table from keys to fixed-width words: the groups of a window, or the keys of a stage.
///
/// Entries and keys lie in two slabs in the order of arrival; an open-addressing index of hashes
/// and 32-bit places finds them, so that a collision costs no look at an entry. Nothing is
/// allocated for a single entry. Removed entries leave holes until `compact`, so that the order of
/// arrival stays.
@safe
final class KeyTable {
    /// Words of an entry beyond its header.
    let width: Int
    /// How many entries there are.
    private(set) var count = 0
    /// Entries and holes: every entry's number is below.
    private(set) var limit = 0
    private let stride: Int
    private var entries: UnsafeMutablePointer<UInt64>
    private var capacity = 0
    private var keys: UnsafeMutablePointer<UInt8>
    private var keyUse = 0
    private var keyCapacity = 0
    private var index: UnsafeMutablePointer<UInt64>
    private var mask: Int
    /// What `touch` has read, so that reading is not optimised away.
    private var touched: UInt64 = 0

    private static let header = 2
    /// A slot of the index whose entry was removed; hash 0 and a place that no entry has.
    private static let removed = UInt64(UInt32.max)
    private static let offsetMask: UInt64 = 0xFFFF_FFFF_FFFF
    private static let hole: UInt64 = 1 << 63
    /// Marks of an entry, for its owner: changed since somebody asked, and known to the journal.
    static let changed: UInt64 = 1 << 62
    static let stored: UInt64 = 1 << 61

    init(width: Int) {
        self.width = width
        stride = width + Self.header
        mask = 15
        unsafe entries = SlabMemory.zeros(UInt64.self, 0)
        unsafe keys = SlabMemory.zeros(UInt8.self, 0)
        unsafe index = SlabMemory.zeros(UInt64.self, mask + 1)
    }

    deinit {
        unsafe SlabMemory.release(entries, capacity * stride)
        unsafe SlabMemory.release(keys, keyCapacity)
        unsafe SlabMemory.release(index, mask + 1)
    }

    /// Bytes taken, keys included.
    var byteCount: Int { capacity * stride * 8 + keyCapacity + (mask + 1) * 8 }

    /// The part of a hash that the table uses.
    @inline(__always)
    static func tag(_ key: ByteSlice) -> UInt32 {
        UInt32(truncatingIfNeeded: stableHash(key) >> 32)
    }

    /// The words of an entry.
    @inline(__always)
    func words(_ entry: Int) -> Words { unsafe Words(entries + (entry * stride + Self.header)) }

    /// The key of an entry; valid until the next insertion.
    @inline(__always)
    func key(_ entry: Int) -> ByteSlice {
        let head = unsafe entries + entry * stride
        return unsafe ByteSlice(
            keys + Int(head[1] & Self.offsetMask), Int(truncatingIfNeeded: head[0] & 0xFFFF_FFFF))
    }

    /// False for a hole.
    @inline(__always)
    func isLive(_ entry: Int) -> Bool { unsafe entries[entry * stride + 1] & Self.hole == 0 }

    @inline(__always)
    func has(_ mark: UInt64, _ entry: Int) -> Bool {
        unsafe entries[entry * stride + 1] & mark != 0
    }

    func set(_ mark: UInt64, _ entry: Int) { unsafe entries[entry * stride + 1] |= mark }

    func clear(_ mark: UInt64, _ entry: Int) { unsafe entries[entry * stride + 1] &= ~mark }

    /// The entry of a key, or -1.
    @inline(__always)
    func find(_ key: ByteSlice, _ tag: UInt32) -> Int {
        var slot = Int(tag) & mask
        while true {
            let place = unsafe index[slot]
            if place == 0 { return -1 }
            if place >> 32 == UInt64(tag), place != Self.removed {
                let entry = Int(place & 0xFFFF_FFFF) - 1
                let head = unsafe entries + entry * stride
                let wanted = UInt64(tag) << 32 | UInt64(truncatingIfNeeded: key.count)
                if unsafe head[0] == wanted, self.key(entry).equals(key) { return entry }
            }
            slot = (slot + 1) & mask
        }
    }

    /// Reads ahead what `find` will need for these hashes, so that the waits overlap.
    func touch(_ tags: borrowing TagStrip) {
        var sum: UInt64 = 0
        for at in 0..<TagStrip.length { sum &+= unsafe index[Int(tags[at]) & mask] }
        for at in 0..<TagStrip.length {
            let entry = guess(tags[at])
            tags.note(entry, at: at)
            guard entry >= 0 else { continue }
            let head = unsafe entries + entry * stride
            sum &+= unsafe head[0] &+ head[stride - 1]
        }
        for at in 0..<TagStrip.length {
            let entry = tags.noted(at)
            guard entry >= 0 else { continue }
            let key = key(entry)
            if key.count > 0 { sum &+= UInt64(key[0]) &+ UInt64(key[key.count - 1]) }
        }
        touched &+= sum
    }

    /// An entry that may be the one of a hash, or -1; only good for reading ahead.
    @inline(__always)
    func guess(_ tag: UInt32) -> Int {
        var slot = Int(tag) & mask
        while true {
            let place = unsafe index[slot]
            if place == 0 { return -1 }
            if place >> 32 == UInt64(tag), place != Self.removed {
                return Int(place & 0xFFFF_FFFF) - 1
            }
            slot = (slot + 1) & mask
        }
    }

    /// Adds an entry for a key that is not there yet; its words are zero.
    func insert(_ key: ByteSlice, _ tag: UInt32) -> Int {
        if limit == capacity { growEntries() }
        if keyUse + key.count >= keyCapacity { growKeys(key.count) }
        let entry = limit
        let head = unsafe entries + entry * stride
        unsafe head.initialize(repeating: 0, count: stride)
        unsafe head[0] = UInt64(tag) << 32 | UInt64(key.count)
        unsafe head[1] = UInt64(keyUse)
        unsafe UnsafeMutableRawBufferPointer(start: keys + keyUse, count: key.count)
            .copyMemory(from: key.raw)
        keyUse += key.count
        limit += 1
        count += 1
        if limit * 4 > (mask + 1) * 3 { reindex(mask * 2 + 1) } else { place(entry, tag) }
        return entry
    }

    /// Removes an entry; its number is not used again before `compact`.
    func remove(_ entry: Int) {
        let tag = unsafe UInt32(truncatingIfNeeded: entries[entry * stride] >> 32)
        var slot = Int(tag) & mask
        let wanted = UInt64(tag) << 32 | UInt64(entry + 1)
        while unsafe index[slot] != wanted { slot = (slot + 1) & mask }
        unsafe index[slot] = Self.removed
        unsafe entries[entry * stride + 1] |= Self.hole
        count -= 1
    }

    /// True when holes outweigh entries.
    var wantsCompacting: Bool { limit - count > count + 64 }

    /// Closes the holes and gives memory back; `moved` learns each entry's old and new number.
    func compact(_ moved: (_ old: Int, _ new: Int) -> Void) {
        let oldEntries = unsafe entries
        let oldKeys = unsafe keys
        let oldLimit = limit
        let oldCapacity = (entries: capacity * stride, keys: keyCapacity)
        capacity = count + count / 4
        unsafe entries = SlabMemory.zeros(UInt64.self, capacity * stride)
        var bytes = 0
        for entry in 0..<oldLimit where unsafe oldEntries[entry * stride + 1] & Self.hole == 0 {
            bytes += unsafe Int(oldEntries[entry * stride] & 0xFFFF_FFFF)
        }
        keyCapacity = bytes + bytes / 4 + 1
        unsafe keys = SlabMemory.zeros(UInt8.self, keyCapacity)
        limit = 0
        keyUse = 0
        for entry in 0..<oldLimit where unsafe oldEntries[entry * stride + 1] & Self.hole == 0 {
            let head = unsafe entries + limit * stride
            unsafe head.initialize(from: oldEntries + entry * stride, count: stride)
            let length = unsafe Int(head[0] & 0xFFFF_FFFF)
            let offset = unsafe Int(head[1] & Self.offsetMask)
            unsafe (keys + keyUse).initialize(from: oldKeys + offset, count: length)
            unsafe head[1] = head[1] & ~Self.offsetMask | UInt64(keyUse)
            keyUse += length
            limit += 1
        }
        var fresh = 0
        for entry in 0..<oldLimit where unsafe oldEntries[entry * stride + 1] & Self.hole == 0 {
            moved(entry, fresh)
            fresh += 1
        }
        unsafe SlabMemory.release(oldEntries, oldCapacity.entries)
        unsafe SlabMemory.release(oldKeys, oldCapacity.keys)
        var slots = 16
        while limit * 4 > slots * 3 { slots *= 2 }
        reindex(slots - 1)
    }

    private func place(_ entry: Int, _ tag: UInt32) {
        var slot = Int(tag) & mask
        while true {
            let place = unsafe index[slot]
            if place == 0 || place == Self.removed { break }
            slot = (slot + 1) & mask
        }
        unsafe index[slot] = UInt64(tag) << 32 | UInt64(entry + 1)
    }

    private func growEntries() {
        let grown = max(16, capacity + capacity / 2)
        unsafe entries = SlabMemory.resize(
            entries, from: capacity * stride, to: grown * stride)
        capacity = grown
    }

    private func growKeys(_ length: Int) {
        let grown = max(keyCapacity + keyCapacity / 2, keyUse + length + 128)
        unsafe keys = SlabMemory.resize(keys, from: keyCapacity, to: grown)
        keyCapacity = grown
    }

    private func reindex(_ newMask: Int) {
        unsafe SlabMemory.release(index, mask + 1)
        mask = newMask
        unsafe index = SlabMemory.zeros(UInt64.self, mask + 1)
        for entry in 0..<limit where isLive(entry) {
            place(entry, unsafe UInt32(truncatingIfNeeded: entries[entry * stride] >> 32))
        }
    }
}

/// The hashes of the next few rows, and the entries that reading ahead has found for them.
@safe
struct TagStrip: ~Copyable {
    static let length = 32
    private let base: UnsafeMutablePointer<UInt32>
    private let entries: UnsafeMutablePointer<Int>

    init() {
        unsafe base = .allocate(capacity: Self.length)
        unsafe base.initialize(repeating: 0, count: Self.length)
        unsafe entries = .allocate(capacity: Self.length)
        unsafe entries.initialize(repeating: -1, count: Self.length)
    }

    deinit {
        unsafe base.deallocate()
        unsafe entries.deallocate()
    }

    @inline(__always)
    func noted(_ index: Int) -> Int { unsafe entries[index] }

    @inline(__always)
    func note(_ entry: Int, at index: Int) { unsafe entries[index] = entry }

    @inline(__always)
    subscript(index: Int) -> UInt32 {
        get { unsafe base[index] }
        nonmutating set { unsafe base[index] = newValue }
    }
}
