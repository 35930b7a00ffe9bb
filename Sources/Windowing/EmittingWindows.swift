internal import Records

/// Windows of a key that close at moments of their own: sessions, global and count windows.
class EmittingWindows: KeyedWindows {
    /// Words of a node beyond those of all nodes.
    enum NodeWord {
        static let revision = 4
        /// Its place among windows that end at the same time, or how many records it has.
        static let order = 5
        static let count = 6
    }

    private var timers = TimerHeap()

    init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot
    ) {
        super.init(definition, users, slot, header: NodeWord.count)
    }

    override var usage: (entries: Int, bytes: Int) {
        (super.usage.entries, super.usage.bytes + timers.byteCount)
    }

    /// When something happens to a window: its end, or the end of its allowed lateness.
    func deadline(_ node: UInt32) -> Int64 { .max }
    /// The bounds that the row of a window shows.
    func bounds(_ node: UInt32) -> (start: Int64, end: Int64) {
        (nodes.time(node), nodes.second(node))
    }
    /// The event time of a row that is written when time has come to `clock`.
    func rowTime(_ node: UInt32, _ clock: Int64) -> Int64 { max(nodes.second(node), clock) }
    /// Its place among windows with the same deadline.
    func order(_ node: UInt32) -> UInt64 { keys.words(nodes.key(node))[KeyWord.order] }
    /// The last moment of a window, when records of later runs must not open it again.
    func lastMoment(_ node: UInt32) -> Int64 { .min }
    /// The deadline has come; true when the window is of no use any more.
    func expire(_ node: UInt32, into output: inout WindowOutput) -> Bool { true }

    final func arm(_ node: UInt32) {
        let time = deadline(node)
        guard time < .max else { return }
        timers.push(
            TimerHeap.Timer(
                time: time, order: 0, target: node, generation: nodes.generation(node)))
        due = min(due, time)
    }

    /// Widens the bounds of a window. The journal knows windows by their first time.
    final func setBounds(_ node: UInt32, _ first: Int64, _ last: Int64) {
        if tracksChanges, first != nodes.time(node), nodes.has(NodeSlab.Flag.stored, node) {
            gone.append(entryKey(node))
            nodes.clear(NodeSlab.Flag.stored, node)
        }
        nodes.setTimes(node, first, last)
    }

    // MARK: Emission

    /// A window has changed: what its emission asks for is done.
    final func emitChange(
        _ node: UInt32, _ time: Int64, into output: inout WindowOutput
    ) {
        noteChange(node)
        guard revises else { return }
        if nodes.has(NodeSlab.Flag.fired, node) || definition.emission == .update {
            writeRow(node, clock: watermark, cause: .record, into: &output)
        } else if definition.emission != .close, !nodes.has(NodeSlab.Flag.changed, node) {
            nodes.set(NodeSlab.Flag.changed, node)
            changed.append(node)
            expectTick(time)
            due = min(due, nextTick)
        }
    }

    final func writeRow(
        _ node: UInt32, clock: Int64, cause: RowOrder.Cause, isRetracted: Bool = false,
        into output: inout WindowOutput
    ) {
        var revision: Revision?
        if revises {
            let head = nodes.head(node)
            head[NodeWord.revision] += 1
            let isFinal = isRetracted || nodes.has(NodeSlab.Flag.fired, node)
            revision = Revision(
                number: head[NodeWord.revision], isFinal: isFinal, isRetracted: isRetracted)
            nodes.clear(NodeSlab.Flag.changed, node)
            noteChange(node)
        }
        let (start, end) = bounds(node)
        write(
            keys.key(nodes.key(node)), nodes.words(node), start: start, end: end,
            time: rowTime(node, clock), clock: clock, cause: cause,
            // Rows of one record stand in the order in which they were written.
            major: cause == .record ? 0 : deadline(node),
            minor: cause == .record ? 0 : order(node), revision: revision, into: &output)
    }

    // MARK: Time

    override func advance(to next: Int64, into output: inout WindowOutput) {
        guard next > watermark else { return }
        if next >= due {
            let tick = nextTick
            if tick <= next {
                expire(upTo: tick, into: &output)
                nextTick = .max
                showChanges(at: tick, into: &output)
            }
            expire(upTo: next, into: &output)
            watermark = next
            compact()
            due = min(timers.first, nextTick)
        } else {
            watermark = next
        }
    }

    private func showChanges(at moment: Int64, into output: inout WindowOutput) {
        let list = changed.filter {
            nodes.isLive($0) && nodes.has(NodeSlab.Flag.changed, $0)
        }
        changed.removeAll(keepingCapacity: true)
        // A node that was removed and used again may be listed twice.
        for node in inOrder(Array(Set(list))) {
            writeRow(node, clock: moment, cause: .tick, into: &output)
        }
    }

    /// The windows whose deadline has come, in the order of their deadlines.
    private func expire(upTo moment: Int64, into output: inout WindowOutput) {
        // A window that closes may come to the end of its allowed lateness in the same step.
        while timers.first <= moment {
            var list: [UInt32] = []
            while timers.first <= moment, let timer = timers.pop() {
                let node = timer.target
                guard nodes.isLive(node), nodes.generation(node) == timer.generation else {
                    continue
                }
                if deadline(node) > moment { arm(node) } else { list.append(node) }
            }
            close(inOrder(list), into: &output)
        }
    }

    private func close(_ list: [UInt32], into output: inout WindowOutput) {
        var last: UInt32 = 0
        for node in list where node != last {
            last = node
            if expire(node, into: &output) {
                let key = nodes.key(node)
                removeNode(node)
                if oldest(key) == 0 { keys.remove(key) }
            } else {
                noteChange(node)
                arm(node)
            }
        }
    }

    final func inOrder(_ list: [UInt32]) -> [UInt32] {
        let places = list.map { (time: deadline($0), order: order($0), node: $0) }
        return places.sorted { ($0.time, $0.order) < ($1.time, $1.order) }.map(\.node)
    }

    override func finish(into output: inout WindowOutput) {
        // No rows for what has changed: everything closes.
        nodes.forEach { nodes.clear(NodeSlab.Flag.changed, $0) }
        changed.removeAll()
        nextTick = .max
        nodes.forEach { closedThrough = max(closedThrough, lastMoment($0)) }
        expire(upTo: .max - 1, into: &output)
        var rest: [UInt32] = []
        nodes.forEach { rest.append($0) }
        for node in inOrder(rest) {
            if !nodes.has(NodeSlab.Flag.fired, node) { _ = expire(node, into: &output) }
            let key = nodes.key(node)
            removeNode(node)
            if oldest(key) == 0 { keys.remove(key) }
        }
        timers = TimerHeap()
        compact()
        due = .max
    }

    override func renameNodes(_ moved: [UInt32]) {
        timers.rename { moved[Int($0.target)] == 0 ? nil : moved[Int($0.target)] }
    }

    override func finishRestoring() {
        nodes.forEach { node in
            arm(node)
            if nodes.has(NodeSlab.Flag.changed, node) { changed.append(node) }
        }
        due = min(due, nextTick)
    }
}
