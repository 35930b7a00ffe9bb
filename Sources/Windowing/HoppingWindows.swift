internal import Records

/// Hopping windows put together from panes, so that a record costs one addition and a window of a
/// key a constant number of merges. Size need not be a multiple of the step: then a step has two
/// panes, cut where windows begin and where they end ("slices", Traub et al., 2018).
final class HoppingWindows: SlidingLists {
    private let size: Int64
    private let every: Int64
    private let offset: Int64
    /// Milliseconds of the first pane of a step; 0 when there is only one.
    private let cut: Int64
    /// The end of the last window that has closed, with rows or without.
    private var closed = Int64.min
    /// Panes that hold something, in order, and how many keys they have.
    private var panes: [(start: Int64, keys: Int)] = []

    init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot,
        size: Int64, every: Int64, offset: Int64
    ) {
        self.size = size
        self.every = every
        self.offset = offset
        cut = size % every
        super.init(definition, users, slot, header: 4)
        due = .min
    }

    // MARK: Windows of a time

    private func pane(_ time: Int64) -> (start: Int64, end: Int64) {
        let rest = floorModulo(time - offset, every)
        let step = time - rest
        if cut == 0 { return (step, step + every) }
        return rest < cut ? (step, step + cut) : (step + cut, step + every)
    }

    private func paneEnd(_ start: Int64) -> Int64 {
        if cut == 0 { return start + every }
        return floorModulo(start - offset, every) == 0 ? start + cut : start - cut + every
    }

    /// The end of the last window that a time is in.
    private func lastEnd(_ time: Int64) -> Int64 {
        time - floorModulo(time - offset, every) + size
    }

    /// The end of the first window that ends behind a time.
    private func firstEnd(behind time: Int64) -> Int64 {
        time - floorModulo(time - offset - size, every) + every
    }

    /// The end of the last window that is over when time has come to `moment`.
    private func closedEnd(at moment: Int64) -> Int64 {
        moment == .min || moment == .max ? moment : firstEnd(behind: moment + 1) - every
    }

    // MARK: Rows in

    /// The pane of the last row, and the end of the last window that it is in.
    private var current: (start: Int64, end: Int64, last: Int64) = (0, 0, 0)

    override func add(
        _ row: Row, _ block: RowBlock, _ index: Int, _ tag: UInt32,
        into output: inout WindowOutput
    ) {
        if row.time < current.start || row.time >= current.end {
            let (start, end) = pane(row.time)
            current = (start, end, lastEnd(row.time))
        }
        let pane = current
        // Windows shorter than their step leave gaps: who falls there is in none of them.
        guard pane.last > row.time else { return }
        guard pane.last - 1 > watermark, pane.last - 1 > closedThrough else {
            return addLate(row, of: block, to: &output, isClosed: pane.last - 1 > watermark)
        }
        let key = entry(block.key(row), tag)
        if pane.end <= closed, oldest(key) != 0 {
            let before = nodes.count
            let node = addBehind(pane.start, key, row, block, index)
            if nodes.count > before { notePane(pane.start, 1) }
            return commitPrepared(nodes.words(node), window: pane.start)
        }
        var node = newest(key)
        while node != 0, nodes.time(node) > pane.start { node = nodes.older(node) }
        if node == 0 || nodes.time(node) != pane.start {
            node = insertNode(key, behind: node)
            nodes.setTimes(node, pane.start, 0)
            notePane(pane.start, 1)
        }
        accumulators.add(
            nodes.words(node), Columns(block, index), time: row.time, sequence: sequence)
        if users != nil { commitPrepared(nodes.words(node), window: pane.start) }
        noteChange(node)
    }

    private func notePane(_ start: Int64, _ change: Int) {
        // What goes is mostly the oldest, what comes the newest.
        let isFirst = panes.first.map { $0.start == start } ?? false
        var place = isFirst ? 0 : panes.count - 1
        while place >= 0, panes[place].start > start { place -= 1 }
        if place < 0 || panes[place].start != start {
            return panes.insert((start, change), at: place + 1)
        }
        panes[place].keys += change
        if panes[place].keys == 0 { panes.remove(at: place) }
    }

    override func prepare(
        _ row: Row, _ block: RowBlock
    ) throws(UserAggregateError) -> [PreparedValues] {
        let last = lastEnd(row.time)
        guard last - 1 > max(watermark, closedThrough), last > row.time else { return [] }
        let key = block.key(row)
        let start = pane(row.time).start
        var known = preparedValues(key, start) ?? []
        let entry = keys.find(key, KeyTable.tag(key))
        if known.isEmpty, entry >= 0 {
            var node = newest(entry)
            while node != 0, nodes.time(node) > start { node = nodes.older(node) }
            if node != 0, nodes.time(node) == start { known = userValues(nodes.words(node)) }
        }
        let values = try added(known, row, block)
        return [PreparedValues(key: key.array, window: start, values: values)]
    }

    // MARK: Time

    override func advance(to next: Int64, into output: inout WindowOutput) {
        guard next > watermark else { return }
        if next >= due {
            let last = closedEnd(at: next)
            fire(through: last, into: &output)
            closed = last
            due = next == .max ? .max : clamped(last, plus: every - 1)
            compact()
        }
        watermark = next
    }

    override func finish(into output: inout WindowOutput) {
        let (before, closedBefore) = (watermark, closed)
        if let last = panes.last {
            closedThrough = max(closedThrough, lastEnd(last.start) - 1)
        }
        advance(to: .max, into: &output)
        watermark = before
        // Windows that were closed are not written again.
        closed = closedThrough == .min ? closedBefore : max(closedBefore, closedThrough + 1)
        finishRestoring()
    }

    private func fire(through last: Int64, into output: inout WindowOutput) {
        while let first = panes.first {
            var end = firstEnd(behind: first.start)
            if closed != .min { end = max(end, closed + every) }
            guard end <= last else { return }
            fire(end, into: &output)
            closed = end
        }
    }

    /// Writes one window of every key, and drops what later ones do not need.
    private func fire(_ end: Int64, into output: inout WindowOutput) {
        let start = end - size
        for key in 0..<keys.limit where keys.isLive(key) {
            if key & 31 == 0 { touchNodes(of: key..<min(key + 32, keys.limit)) }
            var node = newest(key)
            while node != 0, !isTaken(node) { node = nodes.older(node) }
            node = node == 0 ? oldest(key) : nodes.newer(node)
            while node != 0, paneEnd(nodes.time(node)) <= end {
                takeIntoBack(node, key)
                node = nodes.newer(node)
            }
            removePanes(of: key, before: start)
            if isTaken(oldest(key)) { writeRow(key, start, end, into: &output) }
            // The next window begins later.
            removePanes(of: key, before: start + every)
            if oldest(key) == 0 { keys.remove(key) }
        }
    }

    /// Reads ahead what firing needs of some keys, so that the waits overlap.
    private func touchNodes(of some: Range<Int>) {
        var sum: UInt64 = 0
        for key in some where keys.isLive(key) {
            sum &+= nodes.touch(oldest(key)) &+ nodes.touch(newest(key)) &+ nodes.touch(back(key))
        }
        touched &+= sum
    }

    @inline(__always)
    private func isTaken(_ node: UInt32) -> Bool {
        node != 0 && nodes.has(NodeSlab.Flag.front | NodeSlab.Flag.back, node)
    }

    private func removePanes(of key: Int, before start: Int64) {
        while isTaken(oldest(key)), nodes.time(oldest(key)) < start {
            notePane(nodes.time(oldest(key)), -1)
            removeOldest(key)
        }
    }

    private func writeRow(
        _ key: Int, _ start: Int64, _ end: Int64, into output: inout WindowOutput
    ) {
        let words = sum(key)
        if users != nil {
            do throws(UserAggregateError) {
                setUserValues(words, try mergedUsers(key))
            } catch {
                done()
                return fail(
                    error, keys.key(key), start: start, end: end, time: end - 1, into: &output)
            }
        }
        write(
            keys.key(key), words, start: start, end: end, time: end - 1, clock: end - 1,
            cause: .due, minor: keys.words(key)[KeyWord.order], into: &output)
        done()
    }

    private func mergedUsers(_ key: Int) throws(UserAggregateError) -> [[UInt8]] {
        var node = oldest(key)
        var values = userValues(nodes.words(node))
        node = nodes.newer(node)
        while isTaken(node) {
            values = try merged(values, userValues(nodes.words(node)))
            node = nodes.newer(node)
        }
        return values
    }

    // MARK: For a journal

    override func encodeMeta(into out: inout ByteWriter) { out.write(time: closed) }

    override func restoreMeta(_ reader: inout ByteReader) {
        let end = reader.time()
        if end != .max { closed = max(closed, end) }
    }

    override func restoreNode(_ node: UInt32, _ kind: Int) {
        super.restoreNode(node, kind)
        if kind == 1 { notePane(nodes.time(node), 1) }
    }

    override func finishRestoring() {
        due = closed == .min ? .min : clamped(closed, plus: every - 1)
    }
}
