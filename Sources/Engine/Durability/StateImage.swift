internal import Glibc

/// The keyed state as it was last committed: opaque keys and values in one piece of memory.
///
/// A hash table with open addressing over an arena: no object per entry, and the entries can be
/// walked in slices while others change. One thread owns it.
struct StateImage: ~Copyable {
    private struct Entry {
        var offset = 0
        var keyLength: UInt32 = 0
        var valueLength: UInt32 = 0
        var hash: UInt32 = 0
        var isLive = false
    }

    private var arena = ByteArena()
    private var entries: [Entry] = []
    private var free: [UInt32] = []
    private var slots: [UInt32] = []
    private var garbage = 0
    private static let empty = UInt32.max
    private static let removed = UInt32.max - 1
    private var usedSlots = 0
    /// While a snapshot is read entries are only lined up: where each belongs is worked out when
    /// all of them are there.
    private var isRestoring = false

    init() {}

    /// Entries that are there.
    private(set) var count = 0
    /// Places that `slice` goes over; some may be empty.
    var entryCount: Int { entries.count }
    /// Bytes that all of it takes.
    var byteCount: Int {
        arena.capacity + entries.capacity * MemoryLayout<Entry>.stride + slots.capacity * 4
    }

    /// Bytes of the keys and values that are there.
    var liveByteCount: Int { arena.count - garbage }

    /// Sets an entry; the key is `prefix` and `key` together.
    mutating func put(_ prefix: [UInt8], _ key: RawSpan, _ value: RawSpan) {
        let hash = Self.hash(prefix, key)
        if isRestoring {
            entries.append(append(prefix, key, value, hash))
            count += 1
            return
        }
        grow()
        let slot = find(prefix, key, hash)
        if slots[slot] < Self.removed {
            let index = Int(slots[slot])
            if entries[index].valueLength == UInt32(value.byteCount) {
                let start = entries[index].offset + Int(entries[index].keyLength)
                arena.set(value, at: start)
                return
            }
            release(index)
            entries[index] = append(prefix, key, value, hash)
        } else {
            if slots[slot] == Self.empty { usedSlots += 1 }
            let entry = append(prefix, key, value, hash)
            if let index = free.popLast() {
                entries[Int(index)] = entry
                slots[slot] = index
            } else {
                slots[slot] = UInt32(entries.count)
                entries.append(entry)
            }
            count += 1
        }
        compact()
    }

    /// Removes an entry, if it is there.
    mutating func remove(_ prefix: [UInt8], _ key: RawSpan) {
        precondition(!isRestoring, "a snapshot names nothing that is gone")
        guard !slots.isEmpty else { return }
        let slot = find(prefix, key, Self.hash(prefix, key))
        guard slots[slot] < Self.removed else { return }
        let index = Int(slots[slot])
        release(index)
        entries[index].isLive = false
        free.append(UInt32(index))
        slots[slot] = Self.removed
        count -= 1
        compact()
    }

    /// Calls with up to `limit` entries from place `start` on; returns where to go on, or nil at
    /// the end.
    func slice(
        from start: Int, limit: Int, _ body: (_ key: RawSpan, _ value: RawSpan) -> Void
    ) -> Int? {
        let end = min(start + limit, entries.count)
        arena.withBytes { bytes in
            for index in start..<max(start, end) where entries[index].isLive {
                let entry = entries[index]
                let middle = entry.offset + Int(entry.keyLength)
                body(
                    bytes.extracting(entry.offset..<middle),
                    bytes.extracting(middle..<(middle + Int(entry.valueLength))))
            }
        }
        return end < entries.count ? end : nil
    }

    // MARK: Inside

    private static func hash(_ prefix: [UInt8], _ key: RawSpan) -> UInt32 {
        var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
        for byte in prefix { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        var index = 0
        while index + 8 <= key.byteCount {
            let word = unsafe key.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
            hash = (hash ^ word) &* 0xff51_afd7_ed55_8ccd
            hash ^= hash >> 32
            index += 8
        }
        while index < key.byteCount {
            let byte = unsafe key.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
            index += 1
        }
        hash ^= hash >> 29
        return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
    }

    /// The slot of a key, or the one where it belongs.
    private func find(_ prefix: [UInt8], _ key: RawSpan, _ hash: UInt32) -> Int {
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        var place: Int?
        while slots[slot] != Self.empty {
            if slots[slot] == Self.removed {
                place = place ?? slot
            } else if isEqual(Int(slots[slot]), prefix, key, hash) {
                return slot
            }
            slot = (slot + 1) & mask
        }
        return place ?? slot
    }

    private func isEqual(_ index: Int, _ prefix: [UInt8], _ key: RawSpan, _ hash: UInt32) -> Bool {
        let entry = entries[index]
        guard entry.hash == hash, Int(entry.keyLength) == prefix.count + key.byteCount else {
            return false
        }
        return arena.withBytes { bytes in
            for (place, byte) in prefix.enumerated()
            where bytes.byte(entry.offset + place) != byte { return false }
            let start = entry.offset + prefix.count
            return bytes.extracting(start..<(start + key.byteCount)).isEqual(to: key)
        }
    }

    private mutating func append(
        _ prefix: [UInt8], _ key: RawSpan, _ value: RawSpan, _ hash: UInt32
    ) -> Entry {
        let offset = arena.count
        unsafe prefix.withUnsafeBytes { unsafe arena.append($0) }
        arena.append(key)
        arena.append(value)
        return Entry(
            offset: offset, keyLength: UInt32(prefix.count + key.byteCount),
            valueLength: UInt32(value.byteCount), hash: hash, isLive: true)
    }

    private mutating func release(_ index: Int) {
        garbage += Int(entries[index].keyLength + entries[index].valueLength)
    }

    /// Makes room before it is needed; probing stays short below half.
    private mutating func grow() {
        guard (usedSlots + 1) * 2 > slots.count else { return }
        makeSlots(for: count)
        for (index, entry) in entries.enumerated() where entry.isLive {
            slots[firstEmpty(entry.hash)] = UInt32(index)
            usedSlots += 1
        }
    }

    private mutating func makeSlots(for count: Int) {
        let capacity = max(64, (count + 1) * 4)
        var size = 64
        while size < capacity { size *= 2 }
        slots = [UInt32](repeating: Self.empty, count: size)
        usedSlots = 0
    }

    private func firstEmpty(_ hash: UInt32) -> Int {
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        while slots[slot] != Self.empty { slot = (slot + 1) & mask }
        return slot
    }

    // MARK: Reading a snapshot

    /// From now on entries are put without a look at what is there, until `endRestoring`.
    mutating func beginRestoring() {
        precondition(entries.isEmpty, "only an empty image is restored")
        isRestoring = true
    }

    /// All entries of the snapshot are there. A key that came twice, because it was removed and
    /// set while the snapshot was taken, has its last value.
    mutating func endRestoring() {
        guard isRestoring else { return }
        isRestoring = false
        guard !entries.isEmpty else { return }
        makeSlots(for: entries.count)
        let mask = slots.count - 1
        for index in entries.indices {
            var slot = Int(entries[index].hash) & mask
            while slots[slot] != Self.empty {
                let other = Int(slots[slot])
                if hasSameKey(other, index) {
                    release(other)
                    entries[other].isLive = false
                    free.append(UInt32(other))
                    count -= 1
                    usedSlots -= 1
                    break
                }
                slot = (slot + 1) & mask
            }
            slots[slot] = UInt32(index)
            usedSlots += 1
        }
        compact()
    }

    private func hasSameKey(_ first: Int, _ second: Int) -> Bool {
        let (one, two) = (entries[first], entries[second])
        guard one.hash == two.hash, one.keyLength == two.keyLength else { return false }
        let length = Int(one.keyLength)
        return arena.withBytes { bytes in
            bytes.extracting(one.offset..<(one.offset + length))
                .isEqual(to: bytes.extracting(two.offset..<(two.offset + length)))
        }
    }

    /// Gives back what changed and removed entries took, once that is most of it.
    private mutating func compact() {
        guard garbage > 1 << 16, garbage * 2 > arena.count else { return }
        var fresh = ByteArena()
        for index in entries.indices where entries[index].isLive {
            let start = entries[index].offset
            let end = start + Int(entries[index].keyLength + entries[index].valueLength)
            entries[index].offset = fresh.count
            arena.withBytes { fresh.append($0.extracting(start..<end)) }
        }
        swap(&arena, &fresh)
        garbage = 0
    }
}

extension RawSpan {
    func isEqual(to other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        return unsafe withUnsafeBytes { own in
            unsafe other.withUnsafeBytes { bytes in
                guard let left = own.baseAddress, let right = bytes.baseAddress
                else { return true }
                return unsafe memcmp(left, right, own.count) == 0
            }
        }
    }
}
