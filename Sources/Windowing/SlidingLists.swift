internal import Records

/// Lists of nodes whose values are summed up from both ends, so that a window that slides costs
/// a constant number of merges (two stacks; Tangwongsan, Hirzel, Schneider, 2017).
///
/// In the list of a key come first `front` nodes, each with the values from itself to the last of
/// them; then `back` nodes with their own values, which the key's `back` sums up; then nodes that
/// no window has seen yet. Aggregates in Lua are never summed up here: they stay in their nodes.
class SlidingLists: KeyedWindows {
    private let scratch: ScratchWords
    private var scratchIsUsed = false

    override init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot,
        header: Int
    ) {
        scratch = ScratchWords(Accumulators(definition.computes).width)
        super.init(definition, users, slot, header: header)
    }

    /// The sum of the key's `back` nodes; 0 when there are none.
    @inline(__always)
    final func back(_ key: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: keys.words(key)[KeyWord.back])
    }

    /// Takes a node, older than which none is left to be taken, into the sum of `back`.
    final func takeIntoBack(_ node: UInt32, _ key: Int) {
        nodes.set(NodeSlab.Flag.back, node)
        noteChange(node)
        if back(key) == 0 {
            // While `back` is a single node, that node is the sum.
            if oldest(key) == node || nodes.has(NodeSlab.Flag.front, nodes.older(node)) {
                keys.words(key)[KeyWord.back] = 0
                return
            }
            let sum = nodes.insert(key: key)
            keys.words(key)[KeyWord.back] = UInt64(sum)
            accumulators.merge(nodes.words(sum), from: nodes.words(nodes.older(node)))
        }
        let sum = back(key)
        accumulators.merge(nodes.words(sum), from: nodes.words(node))
        noteChange(sum)
    }

    /// Removes the oldest node of a key.
    final func removeOldest(_ key: Int) {
        let node = oldest(key)
        if nodes.has(NodeSlab.Flag.back, node) { flip(key) }
        removeNode(node)
    }

    /// Turns `back` nodes into `front` ones; there are no others in front of them.
    private func flip(_ key: Int) {
        var node = oldest(key)
        var last = node
        while node != 0, nodes.has(NodeSlab.Flag.back, node) {
            last = node
            node = nodes.newer(node)
        }
        var behind: UInt32 = 0
        node = last
        while node != 0 {
            if behind != 0 { accumulators.merge(nodes.words(node), from: nodes.words(behind)) }
            nodes.clear(NodeSlab.Flag.back, node)
            nodes.set(NodeSlab.Flag.front, node)
            noteChange(node)
            behind = node
            node = nodes.older(node)
        }
        dropBack(key)
    }

    private func dropBack(_ key: Int) {
        let sum = back(key)
        if sum != 0 { dropNode(sum) }
        keys.words(key)[KeyWord.back] = 0
    }

    /// The first node that is `back`, when it is the only one: it is the sum then.
    private func singleBack(_ key: Int) -> UInt32 {
        guard back(key) == 0 else { return 0 }
        var node = newest(key)
        while node != 0, !nodes.has(NodeSlab.Flag.back | NodeSlab.Flag.front, node) {
            node = nodes.older(node)
        }
        return node != 0 && nodes.has(NodeSlab.Flag.back, node) ? node : 0
    }

    /// The values of all nodes that were taken; `done` must be called with the result.
    final func sum(_ key: Int) -> Words {
        let front = oldest(key)
        let hasFront = nodes.has(NodeSlab.Flag.front, front)
        let back = back(key) != 0 ? back(key) : singleBack(key)
        if users == nil {
            if !hasFront { return nodes.words(back) }
            if back == 0 { return nodes.words(front) }
        }
        scratchIsUsed = true
        if hasFront { accumulators.merge(scratch.words, from: nodes.words(front)) }
        if back != 0 { accumulators.merge(scratch.words, from: nodes.words(back)) }
        return scratch.words
    }

    /// The result of `sum` is of no use any more.
    final func done() {
        if scratchIsUsed { accumulators.release(scratch.words) }
        scratchIsUsed = false
    }

    /// Adds a row to a pane that windows have seen already: to every sum that holds it.
    final func addBehind(
        _ time: Int64, _ key: Int, _ row: Row, _ block: RowBlock, _ index: Int
    ) -> UInt32 {
        var older = newest(key)
        while older != 0, nodes.time(older) > time { older = nodes.older(older) }
        var node = older
        if older == 0 || nodes.time(older) != time {
            let newer = older == 0 ? oldest(key) : nodes.newer(older)
            node = insertNode(key, behind: older)
            nodes.setTimes(node, time, 0)
            if newer != 0, nodes.has(NodeSlab.Flag.front, newer) {
                nodes.set(NodeSlab.Flag.front, node)
                accumulators.merge(nodes.words(node), from: nodes.words(newer))
            } else if newer != 0, nodes.has(NodeSlab.Flag.back, newer) {
                insertBack(node, key)
            }
        }
        let columns = Columns(block, index)
        if nodes.has(NodeSlab.Flag.front, node) {
            var at = node
            while at != 0 {
                accumulators.add(nodes.words(at), columns, time: row.time, sequence: sequence)
                noteChange(at)
                at = nodes.older(at)
            }
        } else {
            accumulators.add(nodes.words(node), columns, time: row.time, sequence: sequence)
            noteChange(node)
            if nodes.has(NodeSlab.Flag.back, node), back(key) != 0 {
                accumulators.add(
                    nodes.words(back(key)), columns, time: row.time, sequence: sequence)
                noteChange(back(key))
            }
        }
        return node
    }

    /// Makes a fresh node one of several `back` ones.
    private func insertBack(_ node: UInt32, _ key: Int) {
        if back(key) == 0 {
            let single = singleBack(key)
            let sum = nodes.insert(key: key)
            keys.words(key)[KeyWord.back] = UInt64(sum)
            accumulators.merge(nodes.words(sum), from: nodes.words(single))
            noteChange(sum)
        }
        nodes.set(NodeSlab.Flag.back, node)
    }

    // MARK: For a journal

    /// Sums have a kind of their own, because they are in no list.
    override func encodeIdentity(_ node: UInt32, into out: inout ByteWriter) {
        if back(nodes.key(node)) == node { return out.write(count: 2) }
        super.encodeIdentity(node, into: &out)
        out.write(time: nodes.second(node))
    }

    override func skipIdentity(_ reader: inout ByteReader, _ kind: Int) {
        guard kind == 1 else { return }
        _ = reader.time()
        _ = reader.time()
    }

    override func restoreNode(_ node: UInt32, _ kind: Int) {
        if kind == 2 { keys.words(nodes.key(node))[KeyWord.back] = UInt64(node) }
    }
}
