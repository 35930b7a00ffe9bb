internal import Records

/// Windows whose bounds follow from the time alone: tumbling and calendar windows, and hopping
/// ones where each window has to be kept by itself. One table of groups per window.
final class AlignedWindows: WindowSet {
    /// In the order of their ends.
    var panes: [Pane] = []
    /// Words in front of the accumulators: the revision and its mark, when rows are revised, and
    /// the order of arrival of the group's first record.
    let extra: Int
    /// The first moment at which something happens.
    private var due = Int64.max
    private let tags = TagStrip()
    private var latest: (start: Int64, end: Int64) = (0, 0)
    private static let changedMark: UInt64 = 1 << 63

    override init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot
    ) {
        extra = definition.emission != .close || definition.allowedLateness > 0 ? 2 : 1
        super.init(definition, users, slot)
    }

    override var usage: (entries: Int, bytes: Int) {
        (
            panes.reduce(0) { $0 + $1.groups.count },
            panes.reduce(accumulators.sides.byteCount) {
                $0 + $1.groups.byteCount + ($1.changed.capacity + $1.dirty.capacity) * 4 + 96
            }
        )
    }

    // MARK: Rows in

    override func awaitTick() { due = min(due, nextTick) }

    override func add(_ block: RowBlock, into output: inout WindowOutput) {
        var at = 0
        while at < block.count {
            let row = block.row(at)
            advance(to: row.watermark, into: &output)
            if revises || users != nil || isHopping {
                addToAll(row, block, at, into: &output)
                at += 1
            } else {
                at = addRun(block, from: at, into: &output)
            }
        }
    }

    /// Adds rows as long as they fall into the same window and nothing is due.
    private func addRun(
        _ block: RowBlock, from first: Int, into output: inout WindowOutput
    ) -> Int {
        let row = block.row(first)
        guard slot.owns(KeyTable.tag(block.key(row))) else {
            passOver(row)
            return first + 1
        }
        let (start, end) = bounds(row.time)
        guard end - 1 > watermark, end - 1 > closedThrough else {
            sequence += 1
            addLate(row, of: block, to: &output, isClosed: end - 1 > watermark)
            return first + 1
        }
        let pane = pane(start, end)
        let groups = pane.groups
        let isLarge = groups.byteCount > 1 << 18
        var at = first
        var time = watermark
        var arrival = sequence
        let isShared = slot.count > 1 && watermark != .min
        while at < block.count {
            let stop = min(at + TagStrip.length, block.count)
            for index in at..<stop {
                let place = index & (TagStrip.length - 1)
                tags[place] = KeyTable.tag(block.key(block.row(index)))
            }
            if isLarge { groups.touch(tags) }
            while at < stop {
                let row = block.row(at)
                let tag = tags[at & (TagStrip.length - 1)]
                let isOwn = slot.owns(tag)
                guard row.watermark < due,
                    isOwn ? row.time >= start && row.time < end : isShared
                else { return endRun(at, time, arrival) }
                if row.watermark > time { time = row.watermark }
                arrival &+= 1
                guard isOwn else {
                    at += 1
                    continue
                }
                let key = block.key(row)
                var group = groups.find(key, tag)
                if group < 0 { group = insert(key, tag, groups, arrival) }
                accumulators.add(
                    groups.words(group).from(extra), Columns(block, at), time: row.time,
                    sequence: arrival)
                if tracksChanges { noteChange(pane, group) }
                at += 1
            }
        }
        return endRun(at, time, arrival)
    }

    /// A group for a new key, with the order in which its first record arrived.
    private func insert(
        _ key: ByteSlice, _ tag: UInt32, _ groups: KeyTable, _ arrival: UInt64
    ) -> Int {
        let group = groups.insert(key, tag)
        groups.words(group)[extra - 1] = arrival
        return group
    }

    private func endRun(_ at: Int, _ time: Int64, _ arrival: UInt64) -> Int {
        watermark = time
        sequence = arrival
        return at
    }

    /// Adds a row to each of its windows that is not purged, and writes what that asks for.
    private func addToAll(
        _ row: Row, _ block: RowBlock, _ index: Int, into output: inout WindowOutput
    ) {
        guard slot.owns(KeyTable.tag(block.key(row))) else { return passOver(row) }
        sequence += 1
        var isLate = true
        var isClosed = false
        forEachWindow(row.time) { start, end in
            guard clamped(end - 1, plus: lateness) > watermark else { return }
            guard end - 1 > closedThrough else {
                isClosed = true
                return
            }
            isLate = false
            addTo(pane(start, end), row, block, index, into: &output)
        }
        if isLate, hasWindow(row.time) {
            addLate(row, of: block, to: &output, isClosed: isClosed)
        }
    }

    private func addTo(
        _ pane: Pane, _ row: Row, _ block: RowBlock, _ index: Int,
        into output: inout WindowOutput
    ) {
        let key = block.key(row)
        let tag = KeyTable.tag(key)
        var group = pane.groups.find(key, tag)
        if group < 0 { group = insert(key, tag, pane.groups, sequence) }
        let words = pane.groups.words(group)
        accumulators.add(
            words.from(extra), Columns(block, index), time: row.time, sequence: sequence)
        commitPrepared(words.from(extra), window: pane.start)
        if revises {
            if pane.hasFired || definition.emission == .update {
                writeRow(pane, group, clock: watermark, cause: .record, into: &output)
            } else if definition.emission != .close, words[0] & Self.changedMark == 0 {
                words[0] |= Self.changedMark
                pane.changed.append(UInt32(group))
                expectTick(row.time)
                due = min(due, nextTick)
            }
        }
        if tracksChanges { noteChange(pane, group) }
    }

    override func prepare(
        _ row: Row, _ block: RowBlock
    ) throws(UserAggregateError) -> [PreparedValues] {
        var values: [PreparedValues] = []
        let key = block.key(row)
        let tag = KeyTable.tag(key)
        var problem: UserAggregateError?
        forEachWindow(row.time) { start, end in
            guard problem == nil, clamped(end - 1, plus: lateness) > watermark,
                end - 1 > closedThrough
            else { return }
            var known = preparedValues(key, start) ?? []
            let place = place { $0.start < start }
            if known.isEmpty, place < panes.count, panes[place].start == start {
                let groups = panes[place].groups
                let group = groups.find(key, tag)
                if group >= 0 { known = userValues(groups.words(group).from(extra)) }
            }
            do throws(UserAggregateError) {
                let next = try added(known, row, block)
                values.append(PreparedValues(key: key.array, window: start, values: next))
            } catch {
                problem = error
            }
        }
        if let problem { throw problem }
        return values
    }

    // MARK: Time

    override func advance(to next: Int64, into output: inout WindowOutput) {
        guard next > watermark else { return }
        if next >= due {
            let tick = nextTick
            if tick <= next {
                fire(upTo: tick, into: &output)
                nextTick = .max
                for pane in panes where !pane.changed.isEmpty && !pane.hasFired {
                    pane.changed.sort()
                    let groups = pane.changed
                    pane.changed = []
                    for group in groups {
                        writeRow(pane, Int(group), clock: tick, cause: .tick, into: &output)
                    }
                }
            }
            fire(upTo: next, into: &output)
            watermark = next
            purge(at: watermark)
            updateDue()
        } else {
            watermark = next
        }
    }

    override func finish(into output: inout WindowOutput) {
        nextTick = .max
        if let last = panes.last { closedThrough = max(closedThrough, last.end - 1) }
        fire(upTo: .max, into: &output)
        purge(at: .max)
        updateDue()
    }

    private func fire(upTo moment: Int64, into output: inout WindowOutput) {
        // What has fired stands in front of what has not.
        for index in place({ $0.hasFired })..<panes.count {
            let pane = panes[index]
            guard pane.end - 1 <= moment else { break }
            pane.hasFired = true
            pane.changed = []
            for group in 0..<pane.groups.limit {
                writeRow(pane, group, clock: pane.end - 1, cause: .due, into: &output)
            }
        }
    }

    private func writeRow(
        _ pane: Pane, _ group: Int, clock: Int64, cause: RowOrder.Cause,
        into output: inout WindowOutput
    ) {
        let words = pane.groups.words(group)
        var revision: Revision?
        if extra > 1 {
            let number = words[0] & ~Self.changedMark + 1
            words[0] = number
            revision = Revision(number: number, isFinal: pane.hasFired)
            if tracksChanges { noteChange(pane, group) }
        }
        write(
            pane.groups.key(group), words.from(extra), start: pane.start, end: pane.end,
            time: pane.end - 1, clock: clock, cause: cause, major: pane.start,
            minor: words[extra - 1], revision: revision, into: &output)
    }

    /// Drops the windows that no record can change any more.
    private func purge(at moment: Int64) {
        var kept = 0
        while kept < panes.count, clamped(panes[kept].end - 1, plus: lateness) <= moment {
            let pane = panes[kept]
            for group in 0..<pane.groups.limit {
                if !accumulators.isPlain {
                    accumulators.release(pane.groups.words(group).from(extra))
                }
                if tracksChanges, pane.groups.has(KeyTable.stored, group) {
                    gone.append(entryKey(pane, group))
                }
            }
            kept += 1
        }
        panes.removeFirst(kept)
    }

    private func updateDue() {
        due = nextTick
        let next = place { $0.hasFired }
        if next < panes.count { due = min(due, panes[next].end - 1) }
        if let first = panes.first { due = min(due, clamped(first.end - 1, plus: lateness)) }
    }

    // MARK: Windows

    /// The one window of a time; most times are in the same one as the time before.
    func bounds(_ time: Int64) -> (start: Int64, end: Int64) {
        if time >= latest.start, time < latest.end { return latest }
        switch definition.window {
        case .tumbling(let size, let offset):
            let start = time - floorModulo(time - offset, size)
            latest = (start, start + size)
        case .calendar(let period): latest = period.bounds(containing: time)
        default: return (time, time)
        }
        return latest
    }

    /// The window that begins there, made when it is needed.
    func pane(_ start: Int64, _ end: Int64) -> Pane {
        let place = place { $0.start < start }
        if place < panes.count, panes[place].start == start { return panes[place] }
        let fresh = Pane(start, end, width: extra + accumulators.width)
        // A record within the allowed lateness opens a window that has ended already.
        fresh.hasFired = end - 1 <= watermark
        panes.insert(fresh, at: place)
        updateDue()
        return fresh
    }

    /// The first window for which something is not true that is true for all before it.
    private func place(_ isBefore: (Pane) -> Bool) -> Int {
        if let last = panes.last, isBefore(last) { return panes.count }
        var low = 0
        var high = panes.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(panes[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: For a journal

    private func noteChange(_ pane: Pane, _ group: Int) {
        guard !pane.groups.has(KeyTable.changed, group) else { return }
        pane.groups.set(KeyTable.changed, group)
        pane.dirty.append(UInt32(group))
    }

    private func entryKey(_ pane: Pane, _ group: Int) -> [UInt8] {
        var out = ByteWriter()
        out.write(count: 1)
        out.write(time: pane.start)
        out.write(tail: pane.groups.key(group))
        return out.bytes
    }

    override func takeChanges(_ body: (_ key: [UInt8], _ value: [UInt8]?) -> Void) {
        for pane in panes {
            for group in pane.dirty.map(Int.init) {
                pane.groups.clear(KeyTable.changed, group)
                pane.groups.set(KeyTable.stored, group)
                var out = ByteWriter()
                out.write(time: pane.end)
                let words = pane.groups.words(group)
                out.write(count: Int(truncatingIfNeeded: words[extra - 1]))
                if extra > 1 { out.write(words[0]) }
                accumulators.encode(words.from(extra), into: &out)
                body(entryKey(pane, group), out.bytes)
            }
            pane.dirty.removeAll(keepingCapacity: true)
        }
        var meta = ByteWriter()
        meta.write(time: watermark)
        meta.write(sequence)
        meta.write(time: nextTick)
        meta.write(time: closedThrough)
        body(MetaEntry.key(of: slot), meta.bytes)
    }

    override func restore(_ entries: [(key: [UInt8], value: [UInt8])]) {
        var groups: [(start: Int64, end: Int64, order: UInt64, key: [UInt8], value: ByteReader)] =
            []
        for entry in entries {
            var value = ByteReader(entry.value)
            if MetaEntry.isKey(entry.key) {
                restoreMeta(entry.key, &value)
                restoreClosed(&value)
                continue
            }
            var key = ByteReader(entry.key)
            _ = key.number()
            let start = key.time()
            let end = value.time()
            let name = key.rest
            guard name.withSlice({ slot.owns(KeyTable.tag($0)) }) else { continue }
            groups.append((start, end, value.number(), name, value))
        }
        groups.sort { ($0.start, $0.order) < ($1.start, $1.order) }
        for var entry in groups {
            let pane = pane(entry.start, entry.end)
            let group = entry.key.withSlice {
                insert($0, KeyTable.tag($0), pane.groups, entry.order)
            }
            let words = pane.groups.words(group)
            if extra > 1 { words[0] = entry.value.word() }
            if extra > 0, words[0] & Self.changedMark != 0 { pane.changed.append(UInt32(group)) }
            accumulators.decode(words.from(extra), from: &entry.value)
            pane.groups.set(KeyTable.stored, group)
        }
        updateDue()
    }
}
