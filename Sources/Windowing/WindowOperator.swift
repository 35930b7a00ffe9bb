/// The windows of one aggregate stage: rows go in, in the order of their source, and lines come
/// out. One thread owns it; it knows no clock, so that results depend on the data alone.
///
/// The model is that of Akidau et al., "The Dataflow Model" (2015): event time, watermarks,
/// allowed lateness. All times are milliseconds since 1970.
public final class WindowOperator {
    private let windows: WindowSet
    private var restored: [(key: [UInt8], value: [UInt8])] = []

    /// Creates the windows of a definition.
    ///
    /// - Parameter users: runs aggregates written in Lua.
    /// - Parameter slot: the part of the keys that they hold. Windows of several slots are given
    ///   the same rows and the same times; each passes over the keys of the others.
    public init(
        _ definition: AggregateDefinition, users: (any UserAggregates)? = nil,
        slot: WindowSlot = .whole
    ) {
        var definition = definition
        definition.window = definition.window.bounded
        definition.allowedLateness = bounded(definition.allowedLateness)
        definition.timeToLive = definition.timeToLive.map(bounded)
        windows = Self.windows(definition, users, slot)
    }

    private static func windows(
        _ definition: AggregateDefinition, _ users: (any UserAggregates)?, _ slot: WindowSlot
    ) -> WindowSet {
        switch definition.window {
        case .session(let gap): return SessionWindows(definition, users, slot, gap: gap)
        case .global:
            let gap = definition.timeToLive ?? .max
            return SessionWindows(definition, users, slot, gap: gap, isGlobal: true)
        case .count(let size): return CountWindows(definition, users, slot, size: size)
        case .rolling(let range): return RollingWindows(definition, users, slot, range: range)
        case .rollingRows(let rows):
            return RollingWindows(definition, users, slot, range: nil, rows: rows)
        case .hopping(let size, let every, let offset):
            // Panes can be shared when a window is written once, and its parts can be merged.
            let canMerge = definition.computes.allSatisfy {
                guard case .user(let index) = $0.function else { return true }
                return users?.canMerge(index) ?? true
            }
            guard canMerge, definition.emission == .close, definition.allowedLateness <= 0 else {
                return AlignedWindows(definition, users, slot)
            }
            return HoppingWindows(
                definition, users, slot, size: size, every: every, offset: offset)
        case .tumbling, .calendar: return AlignedWindows(definition, users, slot)
        }
    }

    /// Computes what a row will make of aggregates in Lua, without changing state, so that its
    /// record can still fail. Before that time advances to the row's watermark.
    public func prepare(
        _ row: Int, of block: RowBlock, into output: inout WindowOutput
    ) throws(UserAggregateError) {
        settle()
        let row = block.row(row)
        // A window must not close between the rows of one record.
        if windows.prepared.isEmpty { windows.advance(to: row.watermark, into: &output) }
        windows.prepared.append(try windows.prepare(row, block))
    }

    /// Forgets what `prepare` has computed: the record has failed.
    public func discardPrepared() { windows.prepared.removeAll() }

    /// Adds all rows in order; before each, time advances to its watermark. With aggregates in Lua
    /// the block holds the one row that was prepared first; rows that were not prepared are
    /// computed here, and one that fails is a failure and counts nowhere.
    public func process(_ block: RowBlock, into output: inout WindowOutput) {
        settle()
        guard windows.users != nil else { return windows.add(block, into: &output) }
        for index in 0..<block.count {
            let row = block.row(index)
            let single = block.single(index)
            if windows.prepared.isEmpty {
                do throws(UserAggregateError) {
                    try prepare(0, of: single, into: &output)
                } catch {
                    let failure = WindowFailure(
                        message: error.message, file: error.file, line: error.line,
                        original: block.record(row).array, time: row.time)
                    output.failures.append(failure)
                    continue
                }
            }
            windows.add(single, into: &output)
            windows.prepared.removeFirst()
        }
    }

    /// The watermark has risen without rows for this stage.
    public func advance(to watermark: Int64, into output: inout WindowOutput) {
        settle()
        windows.advance(to: watermark, into: &output)
    }

    /// The input has ended: every window closes, count windows that are not full too.
    public func finish(into output: inout WindowOutput) {
        settle()
        windows.finish(into: &output)
    }

    /// Entries of state, each one key in one window.
    public var keyCount: Int {
        settle()
        return windows.usage.entries
    }

    /// Bytes that they take, keys and spare room included.
    public var byteCount: Int {
        settle()
        return windows.usage.bytes
    }

    /// How far time has come, in milliseconds; `Int64.min` in the beginning.
    public var watermark: Int64 {
        settle()
        return windows.watermark
    }

    /// Runs other aggregates in Lua from here on, which read the accumulators of the old ones.
    public func replaceUsers(_ users: any UserAggregates) {
        if windows.users != nil { windows.users = users }
    }

    // MARK: For a journal

    /// True when changes are recorded for `takeChanges`; set it before the first row.
    public var tracksChanges: Bool {
        get { windows.tracksChanges }
        set { windows.tracksChanges = newValue }
    }

    /// Calls with each entry that has changed since the last call; no value when it is gone.
    /// One entry holds the watermark and counters. The bytes mean nothing to anybody else.
    public func takeChanges(_ body: (_ key: [UInt8], _ value: [UInt8]?) -> Void) {
        settle()
        for key in windows.gone { body(key, nil) }
        windows.gone.removeAll()
        windows.takeChanges(body)
    }

    /// Puts an entry back that `takeChanges` gave; only into windows that have seen no row.
    /// When all are back, everything goes on as if nothing had happened.
    public func restore(key: [UInt8], value: [UInt8]) { restored.append((key, value)) }

    /// Entries are put in place together, because their order decides the order of rows.
    private func settle() {
        guard !restored.isEmpty else { return }
        windows.restore(restored)
        restored = []
    }
}

/// A length of time that can be added to any time without leaving 64 bits.
private func bounded(_ length: Int64) -> Int64 { min(max(length, 0), 1 << 61) }

extension WindowKind {
    /// The same with lengths above nothing and below 73 million years.
    fileprivate var bounded: WindowKind {
        func above(_ length: Int64) -> Int64 { Windowing.bounded(max(length, 1)) }
        func near(_ offset: Int64) -> Int64 { min(max(offset, -1 << 61), 1 << 61) }
        switch self {
        case .tumbling(let size, let offset):
            return .tumbling(size: above(size), offset: near(offset))
        case .hopping(let size, let every, let offset):
            return .hopping(size: above(size), every: above(every), offset: near(offset))
        case .session(let gap): return .session(gap: above(gap))
        case .rolling(let range): return .rolling(range: above(range))
        default: return self
        }
    }
}

extension RowBlock {
    /// One row as a block.
    func single(_ index: Int) -> RowBlock {
        unsafe RowBlock(
            rows: rows.map { unsafe $0 + index }, count: 1,
            cells: cells.map { unsafe $0 + index * columnCount }, columnCount: columnCount,
            text: text)
    }
}
