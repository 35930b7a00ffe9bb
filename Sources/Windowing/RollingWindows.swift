internal import Records

/// For each record a row over the records of its key before it: those of some time, or so many.
///
/// Records wait until no earlier one can come, and are taken in the order of time, so that rows do
/// not depend on the order of arrival.
final class RollingWindows: SlidingLists {
    private let range: Int64?
    private let limit: Int
    private var waiting = TimerHeap()
    /// Keys whose records may all be out of reach.
    private var idle = TimerHeap()
    private let usersMode: UserMode
    /// Records that leave while another one is taken, for `retract`; nil at any other time.
    private var leaving: [[UInt8]]?
    private static let isArmed: UInt64 = 1 << 63

    /// How the records of a window become one accumulator in Lua.
    private enum UserMode {
        /// Each record has an accumulator of its own, and all are merged for each row.
        case merge
        /// Records are kept; one accumulator takes each in once, and out once.
        case retract
        /// Records are kept, and added again for each row.
        case addAgain
    }

    init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot,
        range: Int64?, rows: Int = .max
    ) {
        self.range = range
        limit = max(rows, 1)
        let indices = definition.computes.compactMap {
            if case .user(let index) = $0.function { index } else { nil }
        }
        if indices.allSatisfy({ users?.canRetract($0) ?? false }) {
            usersMode = .retract
        } else {
            usersMode = indices.allSatisfy { users?.canMerge($0) ?? false } ? .merge : .addAgain
        }
        super.init(definition, users, slot, header: 4)
    }

    override var usage: (entries: Int, bytes: Int) {
        (super.usage.entries, super.usage.bytes + waiting.byteCount + idle.byteCount)
    }

    // MARK: Rows in

    override func add(
        _ row: Row, _ block: RowBlock, _ index: Int, _ tag: UInt32,
        into output: inout WindowOutput
    ) {
        guard row.time > watermark, row.time > closedThrough else {
            return addLate(row, of: block, to: &output, isClosed: row.time > watermark)
        }
        let key = entry(block.key(row), tag)
        let node = nodes.insert(key: key)
        nodes.setTimes(node, row.time, Int64(bitPattern: sequence))
        accumulators.add(
            nodes.words(node), Columns(block, index), time: row.time, sequence: sequence)
        if users != nil {
            switch usersMode {
            case .merge: commitPrepared(nodes.words(node), window: row.time)
            case .retract: set(KeptRecord(text: block.record(row).array, sums: []), node)
            case .addAgain:
                let text = block.record(row).array
                setUserValues(nodes.words(node), accumulators.userSteps.map { _ in text })
            }
        }
        noteChange(node)
        keys.words(key)[KeyWord.number] &+= 1
        push(node)
    }

    private func push(_ node: UInt32) {
        waiting.push(
            TimerHeap.Timer(
                time: nodes.time(node), order: UInt64(bitPattern: nodes.second(node)),
                target: node, generation: 0))
        due = min(due, nodes.time(node))
    }

    /// Every record begins with accumulators of its own; whether `add` works shows here.
    override func prepare(
        _ row: Row, _ block: RowBlock
    ) throws(UserAggregateError) -> [PreparedValues] {
        guard row.time > watermark, row.time > closedThrough else { return [] }
        let values = try added([], row, block)
        return [PreparedValues(key: block.key(row).array, window: row.time, values: values)]
    }

    // MARK: Time

    override func advance(to next: Int64, into output: inout WindowOutput) {
        guard next > watermark else { return }
        if next >= due {
            while waiting.first <= next, let timer = waiting.pop() {
                take(timer.target, into: &output)
            }
            while idle.first <= next, let timer = idle.pop() { forget(Int(timer.target), next) }
            due = min(waiting.first, idle.first)
            compact()
        }
        watermark = next
    }

    override func finish(into output: inout WindowOutput) {
        let before = watermark
        nodes.forEach { closedThrough = max(closedThrough, nodes.time($0)) }
        advance(to: .max - 1, into: &output)
        for key in 0..<keys.limit where keys.isLive(key) {
            while oldest(key) != 0 { removeOldest(key) }
            keys.remove(key)
        }
        idle = TimerHeap()
        compact()
        watermark = before
        due = min(waiting.first, idle.first)
    }

    /// The waiting record becomes the newest one of its key, and gets its row.
    private func take(_ waited: UInt32, into output: inout WindowOutput) {
        let key = nodes.key(waited)
        let time = nodes.time(waited)
        let before = newest(key)
        leaving = users != nil && usersMode == .retract ? [] : nil
        let sums = leaving == nil || before == 0 ? [] : kept(before).sums
        if range == nil, let keep = definition.timeToLive {
            // As if the key had been forgotten in time, whatever the watermark was.
            while oldest(key) != 0, nodes.time(newest(key)) <= time - keep { drop(key) }
        }
        append(waited, to: key)
        takeIntoBack(waited, key)
        let words = keys.words(key)
        if let range {
            while oldest(key) != waited, nodes.time(oldest(key)) <= time - range { drop(key) }
        } else if Int(words[KeyWord.number] >> 32 & 0x7FFF_FFFF) >= limit {
            drop(key)
        }
        words[KeyWord.number] &+= (1 << 32) &- 1
        arm(key)
        let gone = leaving
        leaving = nil
        let start = range.map { time - $0 } ?? nodes.time(oldest(key))
        writeRow(key, start: start, time, &output) { () throws(UserAggregateError) in
            guard let gone else { return try userSum(key) }
            return try slide(waited, key, sums, without: gone)
        }
    }

    private func drop(_ key: Int) {
        if leaving != nil { leaving?.append(kept(oldest(key)).text) }
        removeOldest(key)
        keys.words(key)[KeyWord.number] &-= 1 << 32
    }

    /// Links a node that is in no list as the newest one.
    private func append(_ node: UInt32, to key: Int) {
        let last = newest(key)
        nodes.link(node, older: last, newer: 0)
        if last != 0 { nodes.link(last, older: nodes.older(last), newer: node) }
        let first = last == 0 ? node : oldest(key)
        keys.words(key)[KeyWord.list] = UInt64(node) << 32 | UInt64(first)
    }

    private func writeRow(
        _ key: Int, start: Int64, _ time: Int64, _ output: inout WindowOutput,
        userSum: () throws(UserAggregateError) -> [[UInt8]]
    ) {
        let words = sum(key)
        if users != nil {
            do throws(UserAggregateError) {
                setUserValues(words, try userSum())
            } catch {
                done()
                return fail(
                    error, keys.key(key), start: start, end: time, time: time, into: &output)
            }
        }
        write(
            keys.key(key), words, start: start, end: time, time: time, clock: time, cause: .due,
            minor: UInt64(bitPattern: nodes.second(newest(key))), into: &output)
        done()
    }

    private func userSum(_ key: Int) throws(UserAggregateError) -> [[UInt8]] {
        var node = oldest(key)
        var values: [[UInt8]] = []
        while node != 0 {
            let own = userValues(nodes.words(node))
            values = try usersMode == .merge ? merged(values, own) : added(values, texts: own)
            node = nodes.newer(node)
        }
        return values
    }

    /// Without `merge` the records themselves are kept, and added again for each row.
    private func added(
        _ known: [[UInt8]], texts: [[UInt8]]
    ) throws(UserAggregateError) -> [[UInt8]] {
        guard let users, let text = texts.first else { return known }
        var values: [[UInt8]] = []
        for (index, step) in accumulators.userSteps.enumerated() {
            let place = Int(step.column)
            let start = index < known.count ? known[index] : try users.create(place)
            let next = try text.withSlice { (bytes) throws(UserAggregateError) in
                try unsafe users.add(place, start, bytes.raw)
            }
            values.append(next)
        }
        return values
    }

    // MARK: Taking records back

    /// The accumulators of the window that ends with `node`, from those of the one before it, which
    /// are kept with the records so that they are the same after a restart.
    private func slide(
        _ node: UInt32, _ key: Int, _ before: [[UInt8]], without gone: [[UInt8]]
    ) throws(UserAggregateError) -> [[UInt8]] {
        let own = kept(node)
        var sums = oldest(key) == node ? [] : before
        if sums.isEmpty {
            // The first record, or an error has left nothing to go on with: all of them again.
            var at = oldest(key)
            while at != node {
                sums = try added(sums, texts: [kept(at).text])
                at = nodes.newer(at)
            }
        } else {
            for text in gone { sums = try retracted(sums, text) }
        }
        sums = try added(sums, texts: [own.text])
        set(KeptRecord(text: own.text, sums: sums), node)
        noteChange(node)
        return sums
    }

    private func retracted(
        _ sums: [[UInt8]], _ text: [UInt8]
    ) throws(UserAggregateError) -> [[UInt8]] {
        guard let users else { return sums }
        var values: [[UInt8]] = []
        for (step, sum) in zip(accumulators.userSteps, sums) {
            let place = Int(step.column)
            let next = try text.withSlice { (bytes) throws(UserAggregateError) in
                try unsafe users.retract(place, sum, bytes.raw)
            }
            values.append(next)
        }
        return values
    }

    private func kept(_ node: UInt32) -> KeptRecord {
        KeptRecord(userValues(nodes.words(node)))
    }

    private func set(_ record: KeptRecord, _ node: UInt32) {
        setUserValues(nodes.words(node), record.values(count: accumulators.userSteps.count))
    }

    // MARK: Keys that fall silent

    /// Sees to it that the records of a key go when no row can need them.
    private func arm(_ key: Int) {
        guard let keep = range ?? definition.timeToLive else { return }
        let words = keys.words(key)
        guard words[KeyWord.number] & Self.isArmed == 0 else { return }
        words[KeyWord.number] |= Self.isArmed
        let time = clamped(nodes.time(newest(key)), plus: keep)
        idle.push(TimerHeap.Timer(time: time, order: 0, target: UInt32(key), generation: 0))
    }

    private func forget(_ key: Int, _ now: Int64) {
        keys.words(key)[KeyWord.number] &= ~Self.isArmed
        guard let keep = range ?? definition.timeToLive else { return }
        guard clamped(nodes.time(newest(key)), plus: keep) <= now else { return arm(key) }
        while oldest(key) != 0 { drop(key) }
        if keys.words(key)[KeyWord.number] == 0 { keys.remove(key) }
    }

    override func renameKeys(_ moved: [UInt32]) {
        idle.rename { moved[Int($0.target)] == 0 ? nil : moved[Int($0.target)] - 1 }
    }

    override func renameNodes(_ moved: [UInt32]) { waiting.rename { moved[Int($0.target)] } }

    // MARK: For a journal

    override func restoreNode(_ node: UInt32, _ kind: Int) {
        super.restoreNode(node, kind)
        guard kind == 1 else { return }
        let key = nodes.key(node)
        if nodes.has(NodeSlab.Flag.front | NodeSlab.Flag.back, node) {
            keys.words(key)[KeyWord.number] &+= 1 << 32
        } else {
            unlink(node)
            keys.words(key)[KeyWord.number] &+= 1
            push(node)
        }
    }

    /// Waiting records are in no list; restoring has put this one behind all others.
    private func unlink(_ node: UInt32) {
        let key = nodes.key(node)
        let older = nodes.older(node)
        if older != 0 { nodes.link(older, older: nodes.older(older), newer: 0) }
        let first = older == 0 ? 0 : oldest(key)
        keys.words(key)[KeyWord.list] = UInt64(older) << 32 | UInt64(first)
        nodes.link(node, older: 0, newer: 0)
    }

    override func finishRestoring() {
        for key in 0..<keys.limit where oldest(key) != 0 { arm(key) }
        due = min(waiting.first, idle.first)
    }
}
