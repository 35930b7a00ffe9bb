/// The keyed state as it was last committed: opaque keys and values in one piece of memory.
///
/// A hash table with open addressing over an arena: no object per entry, and the entries can be
/// walked in slices while others change. One thread owns it.
struct StateImage {
    private struct Entry {
        var offset = 0
        var keyLength: UInt32 = 0
        var valueLength: UInt32 = 0
        var hash: UInt32 = 0
        var isLive = false
    }

    private var arena: [UInt8] = []
    private var entries: [Entry] = []
    private var free: [UInt32] = []
    private var slots: [UInt32] = []
    private var garbage = 0
    private static let empty = UInt32.max
    private static let removed = UInt32.max - 1
    private var usedSlots = 0

    /// Entries that are there.
    private(set) var count = 0
    /// Places that `slice` goes over; some may be empty.
    var entryCount: Int { entries.count }
    /// Bytes that all of it takes.
    var byteCount: Int {
        arena.capacity + entries.capacity * MemoryLayout<Entry>.stride + slots.capacity * 4
    }

    /// Sets an entry; the key is `prefix` and `key` together.
    mutating func put(_ prefix: [UInt8], _ key: RawSpan, _ value: RawSpan) {
        grow()
        let hash = Self.hash(prefix, key)
        let slot = find(prefix, key, hash)
        if slots[slot] < Self.removed {
            let index = Int(slots[slot])
            if entries[index].valueLength == UInt32(value.byteCount) {
                let start = entries[index].offset + Int(entries[index].keyLength)
                overwrite(start, value)
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
        let bytes = unsafe arena.span.bytes
        for index in start..<max(start, end) where entries[index].isLive {
            let entry = entries[index]
            let middle = entry.offset + Int(entry.keyLength)
            body(
                bytes.extracting(entry.offset..<middle),
                bytes.extracting(middle..<(middle + Int(entry.valueLength))))
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
        for (place, byte) in prefix.enumerated() where arena[entry.offset + place] != byte {
            return false
        }
        let start = entry.offset + prefix.count
        return unsafe arena.span.bytes.extracting(start..<(start + key.byteCount))
            .withUnsafeBytes { stored in
                unsafe key.withUnsafeBytes { unsafe stored.elementsEqual($0) }
            }
    }

    private mutating func append(
        _ prefix: [UInt8], _ key: RawSpan, _ value: RawSpan, _ hash: UInt32
    ) -> Entry {
        let offset = arena.count
        arena += prefix
        unsafe key.withUnsafeBytes { unsafe arena.append(contentsOf: $0) }
        unsafe value.withUnsafeBytes { unsafe arena.append(contentsOf: $0) }
        return Entry(
            offset: offset, keyLength: UInt32(prefix.count + key.byteCount),
            valueLength: UInt32(value.byteCount), hash: hash, isLive: true)
    }

    private mutating func overwrite(_ start: Int, _ value: RawSpan) {
        let count = value.byteCount
        unsafe arena.withUnsafeMutableBytes { bytes in
            unsafe value.withUnsafeBytes {
                let target = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: bytes[start..<(start + count)])
                unsafe target.copyMemory(from: $0)
            }
        }
    }

    private mutating func release(_ index: Int) {
        garbage += Int(entries[index].keyLength + entries[index].valueLength)
    }

    /// Makes room before it is needed; probing stays short below half.
    private mutating func grow() {
        guard (usedSlots + 1) * 2 > slots.count else { return }
        let capacity = max(64, (count + 1) * 4)
        var size = 64
        while size < capacity { size *= 2 }
        slots = [UInt32](repeating: Self.empty, count: size)
        usedSlots = 0
        for (index, entry) in entries.enumerated() where entry.isLive {
            var slot = Int(entry.hash) & (size - 1)
            while slots[slot] != Self.empty { slot = (slot + 1) & (size - 1) }
            slots[slot] = UInt32(index)
            usedSlots += 1
        }
    }

    /// Gives back what changed and removed entries took, once that is most of it.
    private mutating func compact() {
        guard garbage > 1 << 16, garbage * 2 > arena.count else { return }
        var fresh: [UInt8] = []
        fresh.reserveCapacity(arena.count - garbage)
        for index in entries.indices where entries[index].isLive {
            let start = entries[index].offset
            let end = start + Int(entries[index].keyLength + entries[index].valueLength)
            entries[index].offset = fresh.count
            fresh += arena[start..<end]
        }
        arena = fresh
        garbage = 0
    }
}
