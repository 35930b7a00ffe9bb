/// A record that may have to be taken back, and the accumulators in Lua of the window that ends
/// with it; none before its row was written, or when that has failed.
///
/// It takes the place of the accumulators of a node: the first holds the record as well.
struct KeptRecord {
    var text: [UInt8]
    var sums: [[UInt8]]

    init(text: [UInt8], sums: [[UInt8]]) {
        self.text = text
        self.sums = sums
    }

    /// Reads what `values` has made.
    init(_ values: [[UInt8]]) {
        guard let first = values.first, first.count >= 4 else {
            self.init(text: [], sums: [])
            return
        }
        var length = 0
        for byte in first[..<4].reversed() { length = length << 8 | Int(byte) }
        let end = min(4 + length, first.count)
        let sums = [Array(first[end...])] + values.dropFirst()
        self.init(text: Array(first[4..<end]), sums: sums.contains([]) ? [] : sums)
    }

    /// One value for each accumulator.
    func values(count: Int) -> [[UInt8]] {
        var values = sums.isEmpty ? [[UInt8]](repeating: [], count: count) : sums
        let length = UInt32(text.count)
        let head = [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: length >> UInt32($0)) }
        if !values.isEmpty { values[0] = head + text + values[0] }
        return values
    }
}
