internal import Records

/// A value in two words: its kind with the place of its text (kind in the low byte), and its bits.
enum Place {
    /// The place of the text; 0 is none.
    @inline(__always)
    static func of(_ word: UInt64) -> UInt64 { word >> 8 }

    /// Puts a value there instead of what was there.
    static func set(
        _ own: Words, _ at: Int, _ cell: Cell, _ text: ByteSlice, _ sides: SideStore
    ) {
        var place = of(own[at])
        if text.count == 0 {
            sides.release(place)
            place = 0
        } else if let side = sides[place] as? TextSide {
            side.set(text)
        } else {
            place = sides.insert(TextSide(text.array))
        }
        own[at] = UInt64(cell.rawKind) | place << 8
        own[at + 1] = cell.bits
    }

    /// Puts the value of another there.
    static func set(_ own: Words, _ at: Int, from other: Words, _ sides: SideStore) {
        let cell = Cell(kind(other[at]), bits: other[at + 1])
        let bytes = (sides[of(other[at])] as? TextSide)?.bytes ?? []
        bytes.withSlice { set(own, at, cell, $0, sides) }
    }

    /// Gives copied words a text of their own.
    static func copy(_ own: Words, _ at: Int, _ sides: SideStore) {
        guard let source = sides[of(own[at])] else { return }
        own[at] = own[at] & 0xFF | sides.insert(source.copy()) << 8
    }

    static func kind(_ word: UInt64) -> Cell.Kind {
        Cell.Kind(rawValue: UInt32(word & 0xFF)) ?? .missing
    }

    /// Calls with the text that is kept.
    static func withText<Result>(
        _ word: UInt64, _ sides: SideStore, _ body: (ByteSlice) -> Result
    ) -> Result {
        guard let side = sides[of(word)] as? TextSide else { return [].withSlice(body) }
        return side.bytes.withSlice(body)
    }

    static func write(
        _ word: UInt64, _ bits: UInt64, _ sides: SideStore, into out: inout TextBuffer
    ) {
        if let side = sides[of(word)] as? TextSide { return out.append(side.bytes) }
        switch kind(word) {
        case .integer: out.append(integer: Int64(bitPattern: bits))
        case .number, .big: out.append(number: Double(bitPattern: bits))
        case .boolean: if bits == 1 { out.append(text: "true") } else { out.append(text: "false") }
        default: out.append(text: "null")
        }
    }
}

/// The least or greatest value: numbers by value, texts by bytes, numbers before texts.
enum Extreme {
    /// Adds a number when there are only numbers; false when it takes more than that.
    @inline(__always)
    static func addNumber(_ own: Words, _ cell: Cell, isUpper: Bool) -> Bool {
        let number = Cell.Kind.number.rawValue
        let known = own[0]
        if known == UInt64(number), cell.rawKind == number {
            let before = Double(bitPattern: own[1])
            let value = Double(bitPattern: cell.bits)
            if isUpper ? value > before : value < before { own[1] = cell.bits }
            return true
        }
        guard cell.rawKind <= number, known <= UInt64(number) else { return false }
        if known != 0 {
            let order = compareNumbers(cell, Cell(Place.kind(known), bits: own[1]))
            if isUpper ? order <= 0 : order >= 0 { return true }
        }
        own[0] = UInt64(cell.rawKind)
        own[1] = cell.bits
        return true
    }

    static func add(
        _ own: Words, _ cell: Cell, _ columns: Columns, isUpper: Bool, _ sides: SideStore
    ) {
        if addNumber(own, cell, isUpper: isUpper) { return }
        let isText = cell.rawKind >= Cell.Kind.string.rawValue && cell.kind != .boolean
        take(own, cell, isText ? columns.text(of: cell) : .empty, isUpper, sides)
    }

    static func merge(_ own: Words, _ other: Words, isUpper: Bool, _ sides: SideStore) {
        guard other[0] != 0 else { return }
        let cell = Cell(Place.kind(other[0]), bits: other[1])
        Place.withText(other[0], sides) { take(own, cell, $0, isUpper, sides) }
    }

    private static func take(
        _ own: Words, _ cell: Cell, _ text: ByteSlice, _ isUpper: Bool, _ sides: SideStore
    ) {
        if own[0] != 0 {
            let known = Cell(Place.kind(own[0]), bits: own[1])
            let order = Place.withText(own[0], sides) { compareValues(cell, text, known, $0) }
            if isUpper ? order <= 0 : order >= 0 { return }
        }
        Place.set(own, 0, cell, text, sides)
    }
}

/// The value of the earliest or latest record; of two at the same time the first or last to come.
///
/// Words: time, place in the order of arrival, and the value.
enum Edge {
    static func add(
        _ own: Words, _ cell: Cell, _ columns: Columns, time: Int64, sequence: UInt64,
        isUpper: Bool, _ sides: SideStore
    ) {
        guard isBetter(own, time, sequence, isUpper) else { return }
        own[0] = UInt64(bitPattern: time)
        own[1] = sequence
        Place.set(own, 2, cell, columns.text(of: cell), sides)
    }

    static func merge(_ own: Words, _ other: Words, isUpper: Bool, _ sides: SideStore) {
        guard other[2] != 0, isBetter(own, Int64(bitPattern: other[0]), other[1], isUpper) else {
            return
        }
        own[0] = other[0]
        own[1] = other[1]
        Place.set(own, 2, from: other, sides)
    }

    private static func isBetter(
        _ own: Words, _ time: Int64, _ sequence: UInt64, _ isUpper: Bool
    ) -> Bool {
        if own[2] == 0 { return true }
        let known = (Int64(bitPattern: own[0]), own[1])
        return isUpper ? (time, sequence) > known : (time, sequence) < known
    }
}
