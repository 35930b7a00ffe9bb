internal import Records
public import Windowing

/// What every operator has to hold: put back from what a journal has of it, it goes on as if
/// nothing had happened; and operators that share the keys give together what one gives, also when
/// a later run shares them among others.
public struct OperatorSuite {
    /// A part of the input, which is given to one operator after the other.
    public typealias Step = ((any Operator, inout WindowOutput) -> Void)

    private let make: (WindowSlot) -> any Operator
    private let steps: [Step]
    private let slotCounts: ClosedRange<Int>

    /// Describes the operator; `make` gives an empty one for a part of the keys.
    ///
    /// - Parameter steps: the whole input, the end included.
    public init(
        steps: [Step], slots: ClosedRange<Int> = 1...4,
        make: @escaping (WindowSlot) -> any Operator
    ) {
        self.steps = steps
        slotCounts = slots
        self.make = make
    }

    /// Everything that does not hold; empty when all does.
    public func violations() -> [String] {
        let whole = run { _ in (slots: 1, isRestored: false) }
        var found = whole.problems
        for slots in slotCounts {
            let plain = run { _ in (slots: slots, isRestored: false) }
            found += plain.difference(from: whole, "\(slots) slots")
            let always = run { _ in (slots: slots, isRestored: true) }
            found += always.difference(from: whole, "\(slots) slots, restored at every step")
            for cut in 1..<max(2, steps.count) {
                let once = run { (slots: slots, isRestored: $0 == cut) }
                found += once.difference(from: whole, "\(slots) slots, restored at step \(cut)")
                for next in slotCounts where next != slots {
                    let changed = run { (slots: $0 < cut ? slots : next, isRestored: $0 == cut) }
                    found += changed.difference(
                        from: whole, "\(slots) slots, from step \(cut) on \(next)")
                }
            }
        }
        let count = slotCounts.count
        let turning = run { (slots: slotCounts.lowerBound + $0 * 2 % count, isRestored: true) }
        return found + turning.difference(from: whole, "another number of slots at every step")
    }

    // MARK: Running

    /// Runs all steps; before each, `plan` says how many slots there are, and whether new operators
    /// go on from what a journal would hold.
    private func run(_ plan: (Int) -> (slots: Int, isRestored: Bool)) -> Given {
        var given = Given()
        var journal: [[UInt8]: [UInt8]] = [:]
        var operators: [any Operator] = []
        for (index, step) in steps.enumerated() {
            let (slots, isRestored) = plan(index)
            if index == 0 || isRestored { operators = begin(slots, journal) }
            var outputs: [Output] = []
            for one in operators {
                let output = Output()
                step(one, &output.value)
                outputs.append(output)
            }
            given.take(outputs)
            for one in operators { one.takeChanges { journal[$0] = $1 } }
        }
        // What every operator notes of time stays; keys do not.
        if journal.count > operators.count {
            given.problems.append("\(journal.count) entries are left behind the end")
        }
        return given
    }

    private func begin(_ slots: Int, _ journal: [[UInt8]: [UInt8]]) -> [any Operator] {
        (0..<slots).map { index in
            let made = make(WindowSlot(index: index, count: slots))
            made.tracksChanges = true
            for (key, value) in journal { made.restore(key: key, value: value) }
            return made
        }
    }

    private final class Output {
        var value = WindowOutput()
    }

    /// Everything that operators gave, in the order of one.
    private struct Given {
        struct Row: Equatable {
            var text: String
            var time: Int64
            var watermark: Int64
        }

        var rows: [Row] = []
        var late: [Row] = []
        var lateCount = 0
        var failures: [String] = []
        var problems: [String] = []

        mutating func take(_ outputs: [Output]) {
            var ordered: [(order: RowOrder?, row: Row)] = []
            var orderedLate: [(order: RowOrder?, row: Row)] = []
            for output in outputs {
                let isShared = outputs.count > 1
                let orders = output.value.rowOrders
                let lateOrders = output.value.lateOrders
                if orders.count != (isShared ? output.value.rowEnds.count : 0)
                    || lateOrders.count != (isShared ? output.value.lateEnds.count : 0)
                {
                    problems.append("\(orders.count) orders of \(output.value.rowEnds.count) rows")
                    continue
                }
                ordered += Self.rows(output.value).enumerated().map {
                    (isShared ? orders[$0.offset] : nil, $0.element)
                }
                orderedLate += Self.late(output.value).enumerated().map {
                    (isShared ? lateOrders[$0.offset] : nil, $0.element)
                }
                lateCount += output.value.lateCount
                failures += output.value.failures.map {
                    "\($0.message) \(String(decoding: $0.original, as: UTF8.self)) \($0.time)"
                }
            }
            rows += Self.sorted(ordered)
            late += Self.sorted(orderedLate)
        }

        private static func sorted(_ rows: [(order: RowOrder?, row: Row)]) -> [Row] {
            rows.enumerated().sorted { left, right in
                guard let one = left.element.order, let other = right.element.order, one != other
                else { return left.offset < right.offset }
                return one < other
            }.map(\.element.row)
        }

        private static func rows(_ output: borrowing WindowOutput) -> [Row] {
            let bytes = unsafe output.rows.withUnsafeBytes { unsafe Array($0) }
            return split(bytes, output.rowEnds, output.rowTimes, output.rowWatermarks)
        }

        private static func late(_ output: borrowing WindowOutput) -> [Row] {
            let bytes = unsafe output.late.withUnsafeBytes { unsafe Array($0) }
            return split(bytes, output.lateEnds, output.lateTimes, output.lateWatermarks)
        }

        private static func split(
            _ bytes: [UInt8], _ ends: [Int], _ times: [Int64], _ watermarks: [Int64]
        ) -> [Row] {
            var start = 0
            return ends.indices.map { index in
                defer { start = ends[index] }
                let text = String(decoding: bytes[start..<ends[index]], as: UTF8.self)
                return Row(text: text, time: times[index], watermark: watermarks[index])
            }
        }

        /// How many rows there are that are not the same, and the first of them.
        func difference(from other: Given, _ what: String) -> [String] {
            var found = problems.map { "\(what): \($0)" }
            if rows != other.rows {
                let at = zip(rows, other.rows).enumerated().first {
                    $0.element.0 != $0.element.1
                }?.offset
                found.append(
                    at.map { "\(what): row \($0) is \(rows[$0]), not \(other.rows[$0])" }
                        ?? "\(what): \(rows.count) rows, not \(other.rows.count)")
            }
            if late != other.late || lateCount != other.lateCount {
                found.append(
                    "\(what): \(lateCount) late records, or others than \(other.lateCount)")
            }
            if failures.sorted() != other.failures.sorted() {
                found.append("\(what): failures \(failures), not \(other.failures)")
            }
            return found
        }
    }
}
