internal import Records

/// Records of a key that are less than a gap apart. A record alone is `[t, t + gap)`; what overlaps
/// is one session, what only touches is not, so that the order of arrival does not matter.
///
/// A global window is a session whose gap is the time after which an idle key is forgotten; its
/// identity is the key alone.
final class SessionWindows: EmittingWindows {
    private let gap: Int64
    private let isGlobal: Bool

    init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot,
        gap: Int64, isGlobal: Bool = false
    ) {
        self.gap = gap
        self.isGlobal = isGlobal
        super.init(definition, users, slot)
    }

    private func end(_ node: UInt32) -> Int64 { clamped(nodes.second(node), plus: gap) }

    override func bounds(_ node: UInt32) -> (start: Int64, end: Int64) {
        (nodes.time(node), isGlobal ? nodes.second(node) : end(node))
    }

    override func rowTime(_ node: UInt32, _ clock: Int64) -> Int64 {
        isGlobal ? max(nodes.second(node), clock) : end(node) - 1
    }

    override func lastMoment(_ node: UInt32) -> Int64 { end(node) - 1 }

    override func order(_ node: UInt32) -> UInt64 { nodes.head(node)[NodeWord.order] }

    override func deadline(_ node: UInt32) -> Int64 {
        let last = end(node) - 1
        return nodes.has(NodeSlab.Flag.fired, node) ? clamped(last, plus: lateness) : last
    }

    override func expire(_ node: UInt32, into output: inout WindowOutput) -> Bool {
        // What has fired before is at the end of its allowed lateness.
        if nodes.has(NodeSlab.Flag.fired, node) { return true }
        nodes.set(NodeSlab.Flag.fired, node)
        writeRow(node, clock: end(node) - 1, cause: .due, into: &output)
        return lateness == 0
    }

    // MARK: Rows in

    override func add(
        _ row: Row, _ block: RowBlock, _ index: Int, _ tag: UInt32,
        into output: inout WindowOutput
    ) {
        guard row.time > closedThrough else {
            let isClosed = clamped(clamped(row.time, plus: gap) - 1, plus: lateness) > watermark
            return addLate(row, of: block, to: &output, isClosed: isClosed)
        }
        let bytes = block.key(row)
        let known = keys.find(bytes, tag)
        // The sessions that overlap the record are neighbours: from `first` to `last`.
        var last = known < 0 ? 0 : newest(known)
        while last != 0, nodes.time(last) >= clamped(row.time, plus: gap) {
            last = nodes.older(last)
        }
        let joins = last != 0 && row.time < end(last)
        if !joins {
            guard clamped(clamped(row.time, plus: gap) - 1, plus: lateness) > watermark else {
                return addLate(row, of: block, to: &output)
            }
        }
        let key = entry(bytes, tag)
        var node = last
        if !joins {
            node = insertNode(key, behind: last)
            nodes.setTimes(node, row.time, row.time)
            nodes.head(node)[NodeWord.order] = sequence
        } else {
            node = join(last, row.time, into: &output)
        }
        accumulators.add(
            nodes.words(node), Columns(block, index), time: row.time, sequence: sequence)
        if users != nil { commitPrepared(nodes.words(node), window: 0) }
        if revises { settle(node) }
        emitChange(node, row.time, into: &output)
        if !joins { arm(node) }
    }

    /// Makes one session of all that overlap the record, the newest of which is `last`.
    private func join(
        _ last: UInt32, _ time: Int64, into output: inout WindowOutput
    ) -> UInt32 {
        var first = last
        while nodes.older(first) != 0, time < end(nodes.older(first)) { first = nodes.older(first) }
        if first != last || time < nodes.time(first) {
            retract(first, last, time, into: &output)
        }
        while nodes.newer(first) != 0, first != last {
            let taken = nodes.newer(first)
            let isLast = taken == last
            absorb(taken, into: first)
            if isLast { break }
        }
        setBounds(first, min(nodes.time(first), time), max(nodes.second(first), time))
        return first
    }

    private func absorb(_ taken: UInt32, into node: UInt32) {
        accumulators.merge(nodes.words(node), from: nodes.words(taken))
        nodes.setTimes(node, nodes.time(node), max(nodes.second(node), nodes.second(taken)))
        let head = nodes.head(node)
        let other = nodes.head(taken)
        head[NodeWord.revision] = max(head[NodeWord.revision], other[NodeWord.revision])
        head[NodeWord.order] = min(head[NodeWord.order], other[NodeWord.order])
        removeNode(taken)
    }

    /// Says that sessions which somebody has seen are no more, when they lose their start.
    private func retract(
        _ first: UInt32, _ last: UInt32, _ time: Int64, into output: inout WindowOutput
    ) {
        guard revises, !isGlobal else { return }
        var node = first
        while node != 0 {
            let keepsStart = node == first && nodes.time(node) <= time
            if !keepsStart, nodes.head(node)[NodeWord.revision] > 0 {
                writeRow(
                    node, clock: watermark, cause: .record, isRetracted: true, into: &output)
            }
            node = node == last ? 0 : nodes.newer(node)
        }
    }

    /// A session that had ended may be open again, and one that was joined late may have ended.
    private func settle(_ node: UInt32) {
        let hasFired = nodes.has(NodeSlab.Flag.fired, node)
        if end(node) - 1 > watermark {
            guard hasFired else { return }
            nodes.clear(NodeSlab.Flag.fired, node)
            arm(node)
        } else if !hasFired {
            nodes.set(NodeSlab.Flag.fired, node)
        }
    }

    // MARK: Aggregates in Lua

    /// What `prepare` knows of a session.
    private struct Sketch {
        var first: Int64
        var last: Int64
        var values: [[UInt8]]
    }

    /// The sessions of keys whose records are still transactions.
    private var sketches: [[UInt8]: [Sketch]] = [:]

    override func prepare(
        _ row: Row, _ block: RowBlock
    ) throws(UserAggregateError) -> [PreparedValues] {
        if prepared.isEmpty { sketches = [:] }
        if row.time <= closedThrough { return [] }
        let key = block.key(row)
        let name = key.array
        let known = sketches[name] ?? sketch(key)
        let overlapping = known.filter {
            $0.first < clamped(row.time, plus: gap) && row.time < clamped($0.last, plus: gap)
        }
        if overlapping.isEmpty,
            clamped(clamped(row.time, plus: gap) - 1, plus: lateness) <= watermark
        {
            return []
        }
        var all = Sketch(first: row.time, last: row.time, values: [])
        for one in overlapping {
            all.first = min(all.first, one.first)
            all.last = max(all.last, one.last)
            all.values = try merged(all.values, one.values)
        }
        all.values = try added(all.values, row, block)
        let rest = known.filter { one in
            !overlapping.contains { $0.first == one.first && $0.last == one.last }
        }
        sketches[name] = (rest + [all]).sorted { $0.first < $1.first }
        return [PreparedValues(key: name, window: 0, values: all.values)]
    }

    private func sketch(_ key: ByteSlice) -> [Sketch] {
        let entry = keys.find(key, KeyTable.tag(key))
        var list: [Sketch] = []
        var node = entry < 0 ? 0 : oldest(entry)
        while node != 0 {
            list.append(
                Sketch(
                    first: nodes.time(node), last: nodes.second(node),
                    values: userValues(nodes.words(node))))
            node = nodes.newer(node)
        }
        return list
    }
}
