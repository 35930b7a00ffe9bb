internal import Records

/// So many records of a key, in the order in which they arrive; nothing is late for them.
///
/// With a time to live, a window that is not full closes when its key was idle for so long.
final class CountWindows: EmittingWindows {
    private let size: UInt64

    init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot,
        size: Int
    ) {
        self.size = UInt64(max(size, 1))
        super.init(definition, users, slot)
    }

    override func deadline(_ node: UInt32) -> Int64 {
        guard let keep = definition.timeToLive else { return .max }
        return clamped(nodes.second(node), plus: keep)
    }

    override func expire(_ node: UInt32, into output: inout WindowOutput) -> Bool {
        nodes.set(NodeSlab.Flag.fired, node)
        let clock = definition.timeToLive == nil ? watermark : max(deadline(node), watermark)
        writeRow(node, clock: clock, cause: .due, into: &output)
        return true
    }

    override func add(
        _ row: Row, _ block: RowBlock, _ index: Int, _ tag: UInt32,
        into output: inout WindowOutput
    ) {
        let key = entry(block.key(row), tag)
        var node = oldest(key)
        if node == 0 {
            node = insertNode(key, behind: 0)
            nodes.setTimes(node, row.time, row.time)
            arm(node)
        }
        accumulators.add(
            nodes.words(node), Columns(block, index), time: row.time, sequence: sequence)
        if users != nil { commitPrepared(nodes.words(node), window: Int64(preparedNumber(node))) }
        setBounds(node, min(nodes.time(node), row.time), max(nodes.second(node), row.time))
        nodes.head(node)[NodeWord.order] += 1
        guard nodes.head(node)[NodeWord.order] >= size else {
            return emitChange(node, row.time, into: &output)
        }
        nodes.set(NodeSlab.Flag.fired, node)
        writeRow(node, clock: watermark, cause: .record, into: &output)
        removeNode(node)
        keys.remove(key)
        if keys.wantsCompacting { compact() }
    }

    // MARK: Aggregates in Lua

    /// The number of the record in its window, which tells windows of one transaction apart.
    private func preparedNumber(_ node: UInt32) -> UInt64 { nodes.head(node)[NodeWord.order] + 1 }

    override func prepare(
        _ row: Row, _ block: RowBlock
    ) throws(UserAggregateError) -> [PreparedValues] {
        let key = block.key(row)
        let entry = keys.find(key, KeyTable.tag(key))
        let node = entry < 0 ? 0 : oldest(entry)
        let already = UInt64(prepared.filter { $0.contains { $0.key == key.array } }.count)
        let before = (node == 0 ? 0 : nodes.head(node)[NodeWord.order]) + already
        let number = Int64(before % size) + 1
        var known: [[UInt8]] = []
        if number > 1 {
            known = preparedValues(key, number - 1) ?? userValues(nodes.words(node))
        }
        let values = try added(known, row, block)
        return [PreparedValues(key: key.array, window: number, values: values)]
    }
}
