internal import Scripting
internal import Windowing

/// Lets aggregates in Lua take part in the transaction of the record that they are given.
final class WindowHook: AggregateHook {
    let aggregates: LuaAggregates
    /// The stage that owns the windows; set once, before the first record.
    weak var stage: StageWindows?
    /// Rows added since somebody asked.
    var committed = 0
    private var prepared: [Int] = []
    private var view: RowsView?

    init(_ aggregates: LuaAggregates) { self.aggregates = aggregates }

    func prepare(_ rows: RowsView, row: Int) -> RuleFailure? {
        guard let stage else { return nil }
        view = rows
        do throws(UserAggregateError) {
            try stage.windows.prepare(row, of: RowBlock(rows), into: &stage.output)
        } catch {
            return RuleFailure(message: error.message, file: error.file, line: error.line)
        }
        prepared.append(row)
        return nil
    }

    func settle(committed: Bool) {
        guard let stage else { return }
        if committed, let view {
            for row in prepared {
                stage.windows.process(RowBlock(view, row: row), into: &stage.output)
            }
            self.committed += prepared.count
        } else {
            stage.windows.discardPrepared()
        }
        prepared.removeAll(keepingCapacity: true)
    }
}

extension RuleVM {
    /// What lets the aggregates in Lua of a stage take part in transactions; nil without any.
    func windowHook(of stage: Int) -> WindowHook? { hook(of: stage) as? WindowHook }
}

/// The aggregates in Lua of one stage, called in the VM that its records run in.
final class LuaAggregates: UserAggregates {
    private let caller: AggregateCaller
    /// The index in the VM of the stage's first one.
    private let first: Int

    init(_ caller: AggregateCaller, first: Int) {
        self.caller = caller
        self.first = first
    }

    func create(_ index: Int) throws(UserAggregateError) -> [UInt8] {
        unsafe try call(.create, index)
    }

    func add(
        _ index: Int, _ accumulator: [UInt8], _ record: UnsafeRawBufferPointer
    ) throws(UserAggregateError) -> [UInt8] {
        try unsafe call(.add, index, accumulator, record)
    }

    /// The same with the record as an array.
    func add(
        _ index: Int, _ accumulator: [UInt8], _ record: [UInt8]
    ) throws(UserAggregateError) -> [UInt8] {
        do throws(RuleFailure) {
            return try caller.add(index: first + index, accumulator, record)
        } catch {
            throw UserAggregateError(error)
        }
    }

    func merge(
        _ index: Int, _ left: [UInt8], _ right: [UInt8]
    ) throws(UserAggregateError) -> [UInt8] {
        do throws(RuleFailure) {
            return try caller.merge(index: first + index, left, right)
        } catch {
            throw UserAggregateError(error)
        }
    }

    /// The same with the record as an array.
    func retract(
        _ index: Int, _ accumulator: [UInt8], _ record: [UInt8]
    ) throws(UserAggregateError) -> [UInt8] {
        do throws(RuleFailure) {
            return try caller.retract(index: first + index, accumulator, record)
        } catch {
            throw UserAggregateError(error)
        }
    }

    func retract(
        _ index: Int, _ accumulator: [UInt8], _ record: UnsafeRawBufferPointer
    ) throws(UserAggregateError) -> [UInt8] {
        try unsafe call(.retract, index, accumulator, record)
    }

    func result(
        _ index: Int, _ accumulator: [UInt8], start: Int64, end: Int64
    ) throws(UserAggregateError) -> [UInt8] {
        do throws(RuleFailure) {
            return unsafe try caller.call(
                .result, index: first + index, accumulator, start: start, end: end)
        } catch {
            throw UserAggregateError(error)
        }
    }

    func canMerge(_ index: Int) -> Bool { caller.has(.merge, index: first + index) }
    func canRetract(_ index: Int) -> Bool { caller.has(.retract, index: first + index) }

    private func call(
        _ operation: AggregateCaller.Operation, _ index: Int, _ accumulator: [UInt8] = [],
        _ record: UnsafeRawBufferPointer = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(UserAggregateError) -> [UInt8] {
        do throws(RuleFailure) {
            return try unsafe caller.call(operation, index: first + index, accumulator, record)
        } catch {
            throw UserAggregateError(error)
        }
    }
}

extension UserAggregateError {
    init(_ failure: RuleFailure) {
        self.init(message: failure.message, file: failure.file, line: failure.line)
        isBreach = failure.isBreach
    }
}

extension RowBlock {
    /// The rows of a buffer as windows see them: the layouts are the same, so nothing is copied.
    init(_ view: RowsView) { self.init(view, rows: 0..<view.count) }

    /// One of them.
    init(_ view: RowsView, row: Int) { self.init(view, rows: row..<(row + 1)) }

    private init(_ view: RowsView, rows: Range<Int>) {
        let columns = view.columns
        unsafe self.init(
            rows: view.rows.map {
                unsafe $0.assumingMemoryBound(to: Row.self) + rows.lowerBound
            }, count: rows.count,
            cells: view.cells.map {
                unsafe $0.assumingMemoryBound(to: Cell.self) + rows.lowerBound * columns
            }, columnCount: columns, text: view.text)
    }
}
