internal import Records

/// Windows that each key has for itself: a table of keys, and for each key a list of nodes
/// (sessions, panes or records) from the oldest to the newest.
class KeyedWindows: WindowSet {
    /// Words of a key: its order of arrival, the ends of its list, and two for the kinds.
    enum KeyWord {
        static let order = 0
        static let list = 1
        static let back = 2
        static let number = 3
        static let count = 4
    }

    let keys: KeyTable
    let nodes: NodeSlab
    /// The first moment at which something happens.
    var due = Int64.max
    /// Nodes that have changed since their row was written, for `every`.
    var changed: [UInt32] = []
    private var dirty: [UInt32] = []
    let tags = TagStrip()
    /// What was read ahead, so that reading is not optimised away.
    final var touched: UInt64 = 0

    init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot,
        header: Int
    ) {
        keys = KeyTable(width: KeyWord.count)
        nodes = NodeSlab(header: header, width: Accumulators(definition.computes).width)
        super.init(definition, users, slot)
    }

    override var usage: (entries: Int, bytes: Int) {
        let lists = (changed.capacity + dirty.capacity) * 4
        return (
            nodes.count, keys.byteCount + nodes.byteCount + accumulators.sides.byteCount + lists
        )
    }

    // MARK: Rows in

    override func awaitTick() { due = min(due, nextTick) }

    override func add(_ block: RowBlock, into output: inout WindowOutput) {
        var at = 0
        while at < block.count {
            let stop = min(at + TagStrip.length, block.count)
            for index in at..<stop { tags[index - at] = KeyTable.tag(block.key(block.row(index))) }
            if keys.byteCount > 1 << 18 {
                keys.touch(tags)
                for place in 0..<(stop - at) {
                    let key = tags.noted(place)
                    if key >= 0 { touched &+= nodes.touch(newest(key)) }
                }
            }
            for index in at..<stop {
                let row = block.row(index)
                if row.watermark > watermark { advance(to: row.watermark, into: &output) }
                guard slot.owns(tags[index - at]) else {
                    passOver(row)
                    continue
                }
                sequence &+= 1
                add(row, block, index, tags[index - at], into: &output)
            }
            at = stop
        }
    }

    /// Adds one row; time has come to its watermark.
    func add(
        _ row: Row, _ block: RowBlock, _ index: Int, _ tag: UInt32,
        into output: inout WindowOutput
    ) {}

    /// The entry of a key, made when it is needed.
    @inline(__always)
    final func entry(_ key: ByteSlice, _ tag: UInt32) -> Int {
        let known = keys.find(key, tag)
        if known >= 0 { return known }
        let fresh = keys.insert(key, tag)
        keys.words(fresh)[KeyWord.order] = sequence
        return fresh
    }

    // MARK: Lists

    @inline(__always)
    final func oldest(_ key: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: keys.words(key)[KeyWord.list])
    }

    @inline(__always)
    final func newest(_ key: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: keys.words(key)[KeyWord.list] >> 32)
    }

    private func setEnds(_ key: Int, _ oldest: UInt32, _ newest: UInt32) {
        keys.words(key)[KeyWord.list] = UInt64(newest) << 32 | UInt64(oldest)
    }

    /// A fresh node behind another one of the key; behind 0 is the front of the list.
    final func insertNode(_ key: Int, behind older: UInt32) -> UInt32 {
        let node = nodes.insert(key: key)
        let newer = older == 0 ? oldest(key) : nodes.newer(older)
        nodes.link(node, older: older, newer: newer)
        if older != 0 { nodes.link(older, older: nodes.older(older), newer: node) }
        if newer != 0 { nodes.link(newer, older: node, newer: nodes.newer(newer)) }
        setEnds(key, older == 0 ? node : oldest(key), newer == 0 ? node : newest(key))
        return node
    }

    /// Takes a node out of its list and gives everything of it back.
    final func removeNode(_ node: UInt32) {
        let key = nodes.key(node)
        let older = nodes.older(node)
        let newer = nodes.newer(node)
        if older != 0 { nodes.link(older, older: nodes.older(older), newer: newer) }
        if newer != 0 { nodes.link(newer, older: older, newer: nodes.newer(newer)) }
        setEnds(key, older == 0 ? newer : oldest(key), newer == 0 ? older : newest(key))
        dropNode(node)
    }

    /// Gives everything of a node back that is in no list.
    final func dropNode(_ node: UInt32) {
        if tracksChanges, nodes.has(NodeSlab.Flag.stored, node) { gone.append(entryKey(node)) }
        accumulators.release(nodes.words(node))
        nodes.remove(node)
    }

    // MARK: Memory

    /// Gives memory back when most of it holds nothing.
    final func compact() {
        if keys.wantsCompacting {
            var moved = [UInt32](repeating: 0, count: keys.limit)
            keys.compact { moved[$0] = UInt32($1) + 1 }
            nodes.forEach { nodes.setKey($0, Int(moved[nodes.key($0)]) - 1) }
            renameKeys(moved)
        }
        guard nodes.wantsCompacting else { return }
        let moved = nodes.compact()
        for key in 0..<keys.limit where keys.isLive(key) {
            setEnds(key, moved[Int(oldest(key))], moved[Int(newest(key))])
            let words = keys.words(key)
            words[KeyWord.back] = UInt64(moved[Int(words[KeyWord.back])])
        }
        changed = changed.map { moved[Int($0)] }.filter { $0 > 0 }
        dirty = dirty.map { moved[Int($0)] }.filter { $0 > 0 }
        renameNodes(moved)
    }

    /// Keys have new numbers: one less than these.
    func renameKeys(_ moved: [UInt32]) {}
    /// Nodes have new numbers.
    func renameNodes(_ moved: [UInt32]) {}

    // MARK: For a journal

    @inline(__always)
    final func noteChange(_ node: UInt32) {
        if tracksChanges, !nodes.has(NodeSlab.Flag.dirty, node) {
            nodes.set(NodeSlab.Flag.dirty, node)
            dirty.append(node)
        }
    }

    /// What tells a node from all others, beside its key.
    func encodeIdentity(_ node: UInt32, into out: inout ByteWriter) {
        out.write(count: 1)
        out.write(time: nodes.time(node))
    }

    /// What a kind keeps beyond the set's own; read back by `restoreMeta`.
    func encodeMeta(into out: inout ByteWriter) {}
    func restoreMeta(_ reader: inout ByteReader) {}
    /// Puts a node into the list of its key; they come in the order of keys, then of times.
    func restoreNode(_ node: UInt32, _ kind: Int) {}
    /// Everything is back.
    func finishRestoring() {}

    final func entryKey(_ node: UInt32) -> [UInt8] {
        var out = ByteWriter()
        encodeIdentity(node, into: &out)
        out.write(tail: keys.key(nodes.key(node)))
        return out.bytes
    }

    override func takeChanges(_ body: (_ key: [UInt8], _ value: [UInt8]?) -> Void) {
        for node in dirty {
            guard nodes.isLive(node), nodes.has(NodeSlab.Flag.dirty, node) else { continue }
            nodes.clear(NodeSlab.Flag.dirty, node)
            nodes.set(NodeSlab.Flag.stored, node)
            var out = ByteWriter()
            out.write(keys.words(nodes.key(node))[KeyWord.order])
            let head = nodes.head(node)
            for word in 0..<2 { out.write(head[word]) }
            out.write(head[3] & 0xFFFF << 32 & ~(NodeSlab.Flag.dirty | NodeSlab.Flag.stored))
            for word in 4..<max(4, nodes.header) { out.write(head[word]) }
            accumulators.encode(nodes.words(node), into: &out)
            body(entryKey(node), out.bytes)
        }
        dirty.removeAll()
        var meta = ByteWriter()
        meta.write(time: watermark)
        meta.write(sequence)
        meta.write(time: nextTick)
        encodeMeta(into: &meta)
        meta.write(time: closedThrough)
        body(MetaEntry.key(of: slot), meta.bytes)
    }

    override func restore(_ entries: [(key: [UInt8], value: [UInt8])]) {
        struct Entry {
            var order: UInt64
            var time: Int64
            var second: Int64
            var kind: Int
            var key: [UInt8]
            var value: ByteReader
        }
        var list: [Entry] = []
        for entry in entries {
            var value = ByteReader(entry.value)
            if MetaEntry.isKey(entry.key) {
                restoreMeta(entry.key, &value)
                restoreMeta(&value)
                restoreClosed(&value)
                continue
            }
            var key = ByteReader(entry.key)
            let kind = Int(key.number())
            skipIdentity(&key, kind)
            let name = key.rest
            guard name.withSlice({ slot.owns(KeyTable.tag($0)) }) else { continue }
            let order = value.word()
            let time = Int64(bitPattern: value.word())
            let second = Int64(bitPattern: value.word())
            list.append(
                Entry(
                    order: order, time: time, second: second, kind: kind, key: name,
                    value: value))
        }
        list.sort { ($0.order, $0.time, $0.second) < ($1.order, $1.time, $1.second) }
        for var entry in list {
            let key = entry.key.withSlice { slice in
                let tag = KeyTable.tag(slice)
                let known = keys.find(slice, tag)
                return known >= 0 ? known : keys.insert(slice, tag)
            }
            keys.words(key)[KeyWord.order] = entry.order
            let node =
                entry.kind == 1 ? insertNode(key, behind: newest(key)) : nodes.insert(key: key)
            nodes.setTimes(node, entry.time, entry.second)
            nodes.set(entry.value.word() | NodeSlab.Flag.stored, node)
            for word in 4..<max(4, nodes.header) { nodes.head(node)[word] = entry.value.word() }
            accumulators.decode(nodes.words(node), from: &entry.value)
            restoreNode(node, entry.kind)
        }
        finishRestoring()
    }

    /// Skips what `encodeIdentity` has written behind the kind.
    func skipIdentity(_ reader: inout ByteReader, _ kind: Int) { _ = reader.time() }
}
