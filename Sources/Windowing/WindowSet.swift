internal import Records

/// The windows of one stage: what all kinds share. A subclass for each way of keeping them.
class WindowSet {
    let definition: AggregateDefinition
    let accumulators: Accumulators
    var users: (any UserAggregates)?
    let shape: RowShape
    /// True when rows carry `revision` and `is_final`.
    let revises: Bool
    let lateness: Int64
    var tracksChanges = false
    /// How far time has come, in milliseconds.
    var watermark = Int64.min
    /// When windows that have changed show it.
    final var nextTick = Int64.max
    /// The last moment of the windows that the end of an input has closed: what falls into them is
    /// late from then on, however far time has come.
    final var closedThrough = Int64.min
    /// The same as an earlier run has left it.
    final var closedEarlier = Int64.min
    /// How many rows have come, those of other slots included: their order of arrival.
    final var sequence: UInt64 = 0
    /// The part of the keys that is kept here.
    let slot: WindowSlot
    /// What records that are still transactions would make of aggregates in Lua.
    var prepared: [[PreparedValues]] = []
    /// Keys of entries that the journal knows and that are no more.
    var gone: [[UInt8]] = []
    private var line = TextBuffer()
    private var tail = TextBuffer(capacity: 128)
    private var tailBounds: (start: Int64, end: Int64)?

    init(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot
    ) {
        self.definition = definition
        self.slot = slot
        self.users = definition.computes.contains { Self.isUser($0.function) } ? users : nil
        accumulators = Accumulators(definition.computes)
        shape = RowShape(definition)
        lateness = max(0, definition.allowedLateness)
        revises = definition.emission != .close || lateness > 0
    }

    private static func isUser(_ function: AggregateFunction) -> Bool {
        if case .user = function { true } else { false }
    }

    // MARK: What the kinds do

    /// Adds rows whose aggregates in Lua, if any, are in `prepared`.
    func add(_ block: RowBlock, into output: inout WindowOutput) {}
    /// What a row would make of aggregates in Lua; nothing when it is late.
    func prepare(
        _ row: Row, _ block: RowBlock
    ) throws(UserAggregateError) -> [PreparedValues] { [] }
    /// Time has come to `next`: what is due is written, and `watermark` set.
    func advance(to next: Int64, into output: inout WindowOutput) {}
    /// No more rows will come.
    func finish(into output: inout WindowOutput) {}
    /// Entries and bytes that are held.
    var usage: (entries: Int, bytes: Int) { (0, 0) }
    /// Lists the entries that have changed since the last call.
    func takeChanges(_ body: (_ key: [UInt8], _ value: [UInt8]?) -> Void) {}
    /// Puts entries back, all of them, into an empty set.
    func restore(_ entries: [(key: [UInt8], value: [UInt8])]) {}

    // MARK: Emission

    /// A window has changed by a record of some time: it shows that at the next multiple of the
    /// period. Before there is a watermark, time is that of the record.
    final func expectTick(_ time: Int64) {
        guard case .every(let period) = definition.emission else { return }
        let now = watermark == .min ? time - 1 : watermark
        nextTick = min(nextTick, clamped(floorDivision(now, period) * period, plus: period))
    }

    // MARK: Slots

    /// A row of another slot: it counts, and time comes on by it as it does there.
    final func passOver(_ row: Row) {
        sequence &+= 1
        // Before there is a watermark, records of all keys say when changes are shown first.
        guard watermark == .min else { return }
        expectTick(row.time)
        awaitTick()
    }

    /// `nextTick` may have changed.
    func awaitTick() {}

    /// Adds a record that came too late.
    ///
    /// - Parameter isClosed: only because the end of an input has closed its window.
    final func addLate(
        _ row: Row, of block: RowBlock, to output: inout WindowOutput, isClosed: Bool = false
    ) {
        output.addLate(row, of: block)
        if isClosed, row.time <= closedEarlier { output.lateAfterClose += 1 }
        guard slot.count > 1, block.record(row).count > 0 else { return }
        output.lateOrders.append(
            RowOrder(
                sequence: sequence, isByTime: false, clock: watermark, cause: .record, major: 0,
                minor: 0))
    }

    /// Reads what every kind has in its metadata entry. Where several slots have left one each, of
    /// the same moment, the first tick of them counts; entries of slots that there are no more go.
    final func restoreMeta(_ key: [UInt8], _ reader: inout ByteReader) {
        // Stores of earlier versions say so of windows that were closed.
        let time = reader.time()
        if time != .max { watermark = max(watermark, time) }
        sequence = max(sequence, reader.word())
        nextTick = min(nextTick, reader.time())
        if key.count > 1, Int(key[1]) >= slot.count, slot.index == 0 { gone.append(key) }
    }

    /// Reads what stands at the end of a metadata entry.
    final func restoreClosed(_ reader: inout ByteReader) {
        closedThrough = max(closedThrough, reader.time())
        closedEarlier = closedThrough
    }

    // MARK: Rows

    /// Writes the row of an entry; what cannot be computed becomes a failure instead.
    ///
    /// `clock` is how far time has come within the step that is being taken, so that stages behind
    /// do not depend on how large the steps are. `cause`, `major` and `minor` say where the row
    /// stands among others of that moment.
    final func write(
        _ key: ByteSlice, _ words: Words, start: Int64, end: Int64, time: Int64, clock: Int64,
        cause: RowOrder.Cause, major: Int64 = 0, minor: UInt64 = 0, revision: Revision? = nil,
        into output: inout WindowOutput
    ) {
        // One access each to the buffers, because every access to a class is checked.
        if tailBounds?.start != start || tailBounds?.end != end {
            shape.writeTail(start, end, into: &tail)
            tailBounds = (start, end)
        }
        if let problem = render(key, words, start, end, revision, into: &line) {
            return fail(problem, key, start: start, end: end, time: time, into: &output)
        }
        let before = clock == .min ? clock : clamped(clock, plus: -1 - lateness)
        output.addRow(line.bytes, time: time, watermark: before)
        guard slot.count > 1 else { return }
        output.rowOrders.append(
            RowOrder(
                sequence: sequence, isByTime: cause != .record, clock: clock, cause: cause,
                major: major, minor: minor))
    }

    private func render(
        _ key: ByteSlice, _ words: Words, _ start: Int64, _ end: Int64, _ revision: Revision?,
        into line: inout TextBuffer
    ) -> UserAggregateError? {
        line.removeAll()
        shape.writeKey(key, into: &line)
        for index in 0..<accumulators.count {
            shape.writeName(index, into: &line)
            if accumulators.step(index).kind == .user {
                if let problem = writeUser(index, words, start, end, into: &line) {
                    return problem
                }
            } else if let problem = accumulators.problem(index, words) {
                return UserAggregateError(message: problem)
            } else {
                accumulators.write(index, words, into: &line)
            }
        }
        line.append(tail.bytes)
        if let revision { shape.writeRevision(revision, into: &line) }
        line.append(0x7D)
        line.append(0x0A)
        return nil
    }

    private func writeUser(
        _ index: Int, _ words: Words, _ start: Int64, _ end: Int64, into line: inout TextBuffer
    ) -> UserAggregateError? {
        guard let users else {
            line.append(text: "null")
            return nil
        }
        let step = accumulators.step(index)
        do throws(UserAggregateError) {
            let known = accumulators.userBytes(words, step)
            let place = Int(step.column)
            let bytes = known.isEmpty ? try users.create(place) : known
            line.append(try users.result(place, bytes, start: start, end: end))
            return nil
        } catch {
            return error
        }
    }

    /// Says that a window could not give its row.
    final func fail(
        _ error: UserAggregateError, _ key: ByteSlice, start: Int64, end: Int64, time: Int64,
        into output: inout WindowOutput
    ) {
        line.removeAll()
        shape.writeIdentity(key, start, end, into: &line)
        output.failures.append(
            WindowFailure(
                message: error.message, file: error.file, line: error.line,
                original: line.bytes.array, time: time))
    }
}

/// The aggregates in Lua of one window, as a record would leave them.
struct PreparedValues {
    var key: [UInt8]
    /// What tells the window from others of the key: its start, where there are several.
    var window: Int64
    /// The accumulators in the order of the stage's computed fields.
    var values: [[UInt8]]
}

/// The metadata entry of a set: its key is a zero byte, and its slot unless that is the first.
enum MetaEntry {
    static func key(of slot: WindowSlot) -> [UInt8] {
        slot.index == 0 ? [0] : [0, UInt8(truncatingIfNeeded: slot.index)]
    }

    /// True when a key is that of a metadata entry; those of windows begin with their kind.
    static func isKey(_ key: [UInt8]) -> Bool { key.first == 0 }
}
