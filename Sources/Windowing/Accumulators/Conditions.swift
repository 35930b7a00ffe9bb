internal import Records

/// Which of a stage's conditions a computed field has.
struct ConditionRange {
    var start: Int32 = 0
    var count: Int32 = 0
}

/// The conditions of a stage, as plain bytes so that asking them costs no reference counting.
@safe
final class Conditions {
    private struct Condition {
        var column: Int32
        var operation: Comparison.Operation
        var kind: Cell.Kind
        /// The number or truth value on the right.
        var bits: UInt64 = 0
        /// The JSON text on the right, with quotes.
        var text = 0
        var textLength = 0
    }

    private var conditions: UnsafeMutablePointer<Condition>
    private var count = 0
    private var texts: UnsafeMutablePointer<UInt8>
    private var textCount = 0

    init() {
        unsafe conditions = .allocate(capacity: 0)
        unsafe texts = .allocate(capacity: 0)
    }

    deinit {
        unsafe conditions.deallocate()
        unsafe texts.deallocate()
    }

    /// Takes conditions in; the range names them from now on.
    func add(_ comparisons: [Comparison]) -> ConditionRange {
        let start = count
        for comparison in comparisons { add(comparison) }
        return ConditionRange(start: Int32(start), count: Int32(comparisons.count))
    }

    private func add(_ comparison: Comparison) {
        var condition = Condition(
            column: Int32(comparison.column), operation: comparison.operation, kind: .missing)
        switch comparison.literal {
        case .null: break
        case .number(let number):
            condition.kind = .number
            condition.bits = number.bitPattern
        case .boolean(let flag):
            condition.kind = .boolean
            condition.bits = flag ? 1 : 0
        case .string(let string):
            let json = Value.string(string).json
            condition.kind = .string
            condition.text = textCount
            condition.textLength = json.count
            let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: textCount + json.count)
            unsafe grown.initialize(from: texts, count: textCount)
            for (index, byte) in json.enumerated() { unsafe grown[textCount + index] = byte }
            unsafe texts.deallocate()
            unsafe texts = grown
            textCount += json.count
        }
        let grown = UnsafeMutablePointer<Condition>.allocate(capacity: count + 1)
        unsafe grown.initialize(from: conditions, count: count)
        unsafe (grown + count).initialize(to: condition)
        unsafe conditions.deallocate()
        unsafe conditions = grown
        count += 1
    }

    /// True when a row passes all of a range.
    func pass(_ range: ConditionRange, _ columns: Columns) -> Bool {
        for index in Int(range.start)..<Int(range.start + range.count) {
            if !pass(unsafe conditions[index], columns) { return false }
        }
        return true
    }

    /// A value of another type passes only `!=`.
    private func pass(_ condition: Condition, _ columns: Columns) -> Bool {
        let cell = columns[Int(condition.column)]
        let order: Int
        switch (condition.kind, cell.kind) {
        case (.missing, .missing): order = 0
        case (.boolean, .boolean): order = Int(cell.bits) - Int(condition.bits)
        case (.number, .integer), (.number, .number), (.number, .big):
            order = compareNumbers(cell, Cell(.number, bits: condition.bits))
        case (.string, .string):
            order = compareTexts(
                columns.text(of: cell),
                unsafe ByteSlice(texts + condition.text, condition.textLength))
        default: return condition.operation == .notEqual
        }
        switch condition.operation {
        case .equal: return order == 0
        case .notEqual: return order != 0
        case .less: return order < 0
        case .lessOrEqual: return order <= 0
        case .greater: return order > 0
        case .greaterOrEqual: return order >= 0
        }
    }
}
