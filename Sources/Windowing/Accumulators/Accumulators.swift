internal import Records

/// What the computed fields of a stage keep for each entry, as words side by side.
///
/// Numbers live in the words themselves; what grows (sets, sketches, texts) is an object in
/// `sides`, and a word holds its place. Whoever drops an entry must `release` its words.
@safe
final class Accumulators {
    /// The function without its parameters, for a cheap switch.
    enum Kind: UInt8 { case count, sum, average, extreme, edge, spread, ratio, side, user }

    /// One computed field: what it does to which words. Plain bytes, so that reading it is free.
    struct Step {
        var kind: Kind
        /// The greatest, the last, or the deviation.
        var isUpper: Bool
        /// One of the few that `add` does itself: count, average, least or greatest number.
        var isSimple: Bool
        var column: Int32
        var offset: Int32
        var filter: ConditionRange
        /// What `ratio_if` asks; the index of a user aggregate is in `column`.
        var condition: ConditionRange
    }

    /// Words of one entry.
    let width: Int
    let count: Int
    let sides = SideStore()
    /// True when dropping an entry costs nothing.
    let isPlain: Bool
    /// The computed fields that are written in Lua.
    let userSteps: [Step]
    private let functions: [AggregateFunction]
    private let conditions: Conditions
    private let steps: UnsafeMutablePointer<Step>

    init(_ computes: [ComputeDefinition]) {
        var offset = 0
        let conditions = Conditions()
        let list = computes.map { compute in
            let kind = Self.kind(of: compute.function)
            defer { offset += Self.wordCount(kind) }
            var asked: [Comparison] = []
            if case .ratioIf(let wanted) = compute.function { asked = wanted }
            var column = compute.column ?? 0
            if case .user(let index) = compute.function { column = index }
            let isSimple = compute.filter.isEmpty && [.count, .average, .extreme].contains(kind)
            return Step(
                kind: kind, isUpper: Self.isUpper(compute.function), isSimple: isSimple,
                column: Int32(column),
                offset: Int32(offset), filter: conditions.add(compute.filter),
                condition: conditions.add(asked))
        }
        self.conditions = conditions
        functions = computes.map(\.function)
        count = list.count
        width = offset
        userSteps = list.filter { $0.kind == .user }
        isPlain = !list.contains { [.extreme, .edge, .side, .user].contains($0.kind) }
        unsafe steps = .allocate(capacity: max(list.count, 1))
        for (index, step) in list.enumerated() { unsafe (steps + index).initialize(to: step) }
    }

    deinit { unsafe steps.deallocate() }

    @inline(__always)
    func step(_ index: Int) -> Step { unsafe steps[index] }

    func function(_ index: Int) -> AggregateFunction { functions[index] }

    /// Adds a row to an entry. `sequence` is its place in the order of arrival.
    ///
    /// What is asked for most often is done here; the rest is out of the way, so that the loop
    /// keeps its values in registers.
    @inline(__always)
    func add(_ words: Words, _ columns: Columns, time: Int64, sequence: UInt64) {
        for index in 0..<count {
            let step = unsafe steps + index
            if unsafe step.pointee.isSimple {
                let own = unsafe words.from(Int(step.pointee.offset))
                if unsafe step.pointee.kind == .count {
                    own[0] &+= 1
                    continue
                }
                let cell = unsafe columns[Int(step.pointee.column)]
                if cell.rawKind == 0 { continue }
                if unsafe step.pointee.kind == .average {
                    Average.add(own, cell.double)
                    continue
                }
                if unsafe Extreme.addNumber(own, cell, isUpper: step.pointee.isUpper) { continue }
            }
            addOther(index, words, columns, time, sequence)
        }
    }

    @inline(never)
    private func addOther(
        _ index: Int, _ words: Words, _ columns: Columns, _ time: Int64, _ sequence: UInt64
    ) {
        let step = unsafe steps[index]
        if step.filter.count > 0, !conditions.pass(step.filter, columns) { return }
        let own = words.from(Int(step.offset))
        switch step.kind {
        case .count: own[0] &+= 1
        case .ratio:
            own[1] &+= 1
            if conditions.pass(step.condition, columns) { own[0] &+= 1 }
        case .user: break
        default:
            let cell = columns[Int(step.column)]
            if cell.rawKind == 0 { return }
            addCell(cell, to: own, index, step, columns, time, sequence)
        }
    }

    private func addCell(
        _ cell: Cell, to own: Words, _ index: Int, _ step: Step, _ columns: Columns,
        _ time: Int64, _ sequence: UInt64
    ) {
        switch step.kind {
        case .average: Average.add(own, cell.double)
        case .sum: Sum.add(own, cell, columns)
        case .extreme: Extreme.add(own, cell, columns, isUpper: step.isUpper, sides)
        case .spread: Spread.add(own, cell.double)
        case .edge:
            Edge.add(
                own, cell, columns, time: time, sequence: sequence, isUpper: step.isUpper, sides)
        default:
            let side = side(of: own, functions[index])
            side.add(cell, columns, time: time, sequence: sequence)
        }
    }

    /// Adds what another entry holds; that one stays as it is. Aggregates in Lua are left alone.
    func merge(_ words: Words, from other: Words) {
        for index in 0..<count {
            let step = unsafe steps[index]
            let own = words.from(Int(step.offset))
            let from = other.from(Int(step.offset))
            switch step.kind {
            case .count: own[0] &+= from[0]
            case .ratio:
                own[0] &+= from[0]
                own[1] &+= from[1]
            case .sum: Sum.merge(own, from)
            case .average: Average.merge(own, from)
            case .spread: Spread.merge(own, from)
            case .extreme: Extreme.merge(own, from, isUpper: step.isUpper, sides)
            case .edge: Edge.merge(own, from, isUpper: step.isUpper, sides)
            case .side:
                guard let source = sides[from[0]] else { continue }
                side(of: own, functions[index]).merge(source)
            case .user: break
            }
        }
    }

    /// Makes fresh (zero) words hold the same as others, objects copied, Lua included.
    func copy(_ words: Words, from other: Words) {
        words.copy(from: other, count: width)
        if isPlain { return }
        for index in 0..<count {
            let step = unsafe steps[index]
            let own = words.from(Int(step.offset))
            switch step.kind {
            case .extreme: Place.copy(own, 0, sides)
            case .edge: Place.copy(own, 2, sides)
            case .side, .user:
                if let source = sides[own[0]] { own[0] = sides.insert(source.copy()) }
            default: break
            }
        }
    }

    /// Gives back what an entry holds outside of its words, and makes them zero.
    func release(_ words: Words) {
        if !isPlain {
            for index in 0..<count {
                let step = unsafe steps[index]
                let own = words.from(Int(step.offset))
                switch step.kind {
                case .extreme: sides.release(Place.of(own[0]))
                case .edge: sides.release(Place.of(own[2]))
                case .side, .user: sides.release(own[0])
                default: break
                }
            }
        }
        words.clear(width)
    }

    /// The object behind a word, made when it is needed.
    func side(of own: Words, _ function: AggregateFunction) -> Side {
        if let known = sides[own[0]] { return known }
        let fresh = Self.freshSide(function)
        own[0] = sides.insert(fresh)
        return fresh
    }

    /// The accumulator bytes of an aggregate in Lua; empty before the first.
    func userBytes(_ words: Words, _ step: Step) -> [UInt8] {
        (sides[words[Int(step.offset)]] as? TextSide)?.bytes ?? []
    }

    /// Puts accumulator bytes of an aggregate in Lua in place.
    func setUserBytes(_ words: Words, _ step: Step, _ bytes: [UInt8]) {
        let own = words.from(Int(step.offset))
        (side(of: own, .user(0)) as? TextSide)?.bytes = bytes
    }

    /// Writes the value of one computed field that is not written in Lua.
    func write(_ index: Int, _ words: Words, into out: inout TextBuffer) {
        let step = unsafe steps[index]
        let own = words.from(Int(step.offset))
        switch step.kind {
        case .count: out.append(unsigned: own[0])
        case .sum: Sum.write(own, into: &out)
        case .average: Average.write(own, into: &out)
        case .spread: Spread.write(own, isDeviation: step.isUpper, into: &out)
        case .ratio: out.append(number: own[1] == 0 ? .nan : Double(own[0]) / Double(own[1]))
        case .extreme: Place.write(own[0], own[1], sides, into: &out)
        case .edge: Place.write(own[2], own[3], sides, into: &out)
        case .side:
            guard let side = sides[own[0]] else {
                // No values are none that differ.
                if case .countDistinct = functions[index] { return out.append(text: "0") }
                return out.append(text: "null")
            }
            side.write(functions[index], into: &out)
        case .user: break
        }
    }

    /// Why a computed field has no value that a row can show; nil when it has one, or is null.
    func problem(_ index: Int, _ words: Words) -> String? {
        let step = unsafe steps[index]
        let own = words.from(Int(step.offset))
        let isSound: Bool
        switch step.kind {
        case .sum:
            if Sum.hasOverflowed(own) { return "the sum is beyond 128 bits" }
            isSound = Sum.isFinite(own)
        case .average: isSound = Average.isFinite(own)
        case .spread: isSound = Spread.isFinite(own)
        default: isSound = true
        }
        return isSound ? nil : "a computed field is beyond the range of numbers"
    }
}

extension Accumulators {
    static func kind(of function: AggregateFunction) -> Kind {
        switch function {
        case .count: .count
        case .sum: .sum
        case .average: .average
        case .minimum, .maximum: .extreme
        case .first, .last: .edge
        case .standardDeviation, .variance: .spread
        case .ratioIf: .ratio
        case .countDistinct, .quantile, .top, .collect, .mode: .side
        case .user: .user
        }
    }

    private static func isUpper(_ function: AggregateFunction) -> Bool {
        [.maximum, .last, .standardDeviation].contains(function)
    }

    static func wordCount(_ kind: Kind) -> Int {
        switch kind {
        case .count, .side, .user: 1
        case .sum: 5
        case .average, .spread: 3
        case .extreme, .ratio: 2
        case .edge: 4
        }
    }

    private static func freshSide(_ function: AggregateFunction) -> Side {
        switch function {
        case .countDistinct: DistinctSide()
        case .quantile: SketchSide()
        case .top, .mode: FrequencySide()
        case .collect(let limit): CollectionSide(limit: limit)
        default: TextSide()
        }
    }

    /// Appends the words of an entry and everything behind them.
    func encode(_ words: Words, into out: inout ByteWriter) {
        for index in 0..<count {
            let step = step(index)
            let own = words.from(Int(step.offset))
            let place = Self.placeWord(step.kind)
            for word in 0..<Self.wordCount(step.kind) where word != place { out.write(own[word]) }
            guard let place else { continue }
            let isPacked = step.kind == .extreme || step.kind == .edge
            if isPacked { out.write(count: Int(own[place] & 0xFF)) }
            guard let side = sides[isPacked ? Place.of(own[place]) : own[place]] else {
                out.write(count: 0)
                continue
            }
            out.write(count: 1)
            side.encode(into: &out)
        }
    }

    /// Fills the zero words of a new entry.
    func decode(_ words: Words, from reader: inout ByteReader) {
        for index in 0..<count {
            let step = step(index)
            let own = words.from(Int(step.offset))
            let place = Self.placeWord(step.kind)
            for word in 0..<Self.wordCount(step.kind) where word != place {
                own[word] = reader.word()
            }
            guard let place else { continue }
            let isPacked = step.kind == .extreme || step.kind == .edge
            if isPacked { own[place] = reader.number() & 0xFF }
            guard reader.number() == 1 else { continue }
            let stored = sides.insert(Self.side(function(index), &reader))
            own[place] = isPacked ? own[place] | stored << 8 : stored
        }
    }

    private static func side(_ function: AggregateFunction, _ reader: inout ByteReader) -> Side {
        switch function {
        case .countDistinct: DistinctSide(&reader)
        case .quantile: SketchSide(&reader)
        case .top, .mode: FrequencySide(&reader)
        case .collect(let limit): CollectionSide(limit: limit, &reader)
        default: TextSide(reader.bytes())
        }
    }

    /// Which of its words is the place of an object.
    private static func placeWord(_ kind: Kind) -> Int? {
        switch kind {
        case .extreme, .side, .user: 0
        case .edge: 2
        default: nil
        }
    }
}
