internal import Glibc
internal import Records

func naturalLogarithm(_ value: Double) -> Double { log(value) }

/// Values at a rank: exactly for up to 64 values, then by DDSketch (Masson, Rim and Lee, 2019)
/// with a relative error of 1 %; buckets merge by adding, so the order of merging does not matter.
final class SketchSide: Side {
    private static let exactLimit = 64
    private static let gamma = 1.01 / 0.99
    private static let scale = 1 / log(1.01 / 0.99)

    private var exact: [Double] = []
    private var isExact = true
    private var positive = BucketStore()
    private var negative = BucketStore()
    private var zeros: UInt64 = 0

    override init() {}

    override func add(_ cell: Cell, _ columns: Columns, time: Int64, sequence: UInt64) {
        add(cell.double)
    }

    private func add(_ value: Double) {
        guard isExact else { return note(value) }
        exact.append(value)
        if exact.count > Self.exactLimit { spread() }
    }

    private func spread() {
        for value in exact { note(value) }
        exact = []
        isExact = false
    }

    private func note(_ value: Double) {
        if value.magnitude < Double.leastNormalMagnitude {
            zeros += 1
        } else if value > 0 {
            positive.add(Self.bucket(value), 1)
        } else {
            negative.add(Self.bucket(-value), 1)
        }
    }

    private static func bucket(_ value: Double) -> Int { Int((log(value) * scale).rounded(.up)) }

    override func merge(_ other: Side) {
        guard let other = other as? SketchSide else { return }
        if other.isExact {
            for value in other.exact { add(value) }
            return
        }
        if isExact { spread() }
        positive.merge(other.positive)
        negative.merge(other.negative)
        zeros += other.zeros
    }

    override func write(_ function: AggregateFunction, into out: inout TextBuffer) {
        guard case .quantile(let share) = function else { return }
        if isExact {
            guard !exact.isEmpty else { return out.append(text: "null") }
            let rank = Int((share * Double(exact.count - 1)).rounded(.down))
            return out.append(number: exact.sorted()[rank])
        }
        out.append(number: value(at: share))
    }

    private func value(at share: Double) -> Double {
        let total = zeros + positive.total + negative.total
        let rank = UInt64((share * Double(total - 1)).rounded(.down))
        if rank < negative.total {
            return -Self.middle(negative.bucket(at: negative.total - 1 - rank))
        }
        if rank < negative.total + zeros { return 0 }
        return Self.middle(positive.bucket(at: rank - negative.total - zeros))
    }

    private static func middle(_ bucket: Int) -> Double {
        2 * exp(Double(bucket) / scale) / (gamma + 1)
    }

    override func encode(into out: inout ByteWriter) {
        out.write(count: isExact ? 1 : 0)
        out.write(count: exact.count)
        for value in exact { out.write(value.bitPattern) }
        out.write(zeros)
        positive.encode(into: &out)
        negative.encode(into: &out)
    }

    init(_ reader: inout ByteReader) {
        isExact = reader.number() == 1
        for _ in 0..<reader.count() { exact.append(Double(bitPattern: reader.word())) }
        zeros = reader.word()
        positive = BucketStore(&reader)
        negative = BucketStore(&reader)
    }

    override func copy() -> Side {
        let copy = SketchSide()
        copy.exact = exact
        copy.isExact = isExact
        copy.positive = positive
        copy.negative = negative
        copy.zeros = zeros
        return copy
    }

    override var byteCount: Int {
        exact.capacity * 8 + positive.byteCount + negative.byteCount
    }
}

/// Counts by bucket, 8,192 neighbours (71 decades) at most: what is lower falls into the lowest.
struct BucketStore {
    private static let limit = 8192
    private var counts: [UInt64] = []
    /// The bucket that `counts` begins with.
    private var first = 0
    private(set) var total: UInt64 = 0

    init() {}

    var byteCount: Int { counts.capacity * 8 }

    mutating func add(_ bucket: Int, _ number: UInt64) {
        total += number
        counts[place(bucket)] += number
    }

    mutating func merge(_ other: BucketStore) {
        // From the top down, so that the lowest bucket that is kept is known at once.
        for index in other.counts.indices.reversed() where other.counts[index] > 0 {
            add(other.first + index, other.counts[index])
        }
    }

    /// Where a bucket is counted, after making room for it.
    private mutating func place(_ bucket: Int) -> Int {
        if counts.isEmpty {
            first = bucket
            counts = [0]
            return 0
        }
        if bucket < first {
            let lowest = max(bucket, first + counts.count - Self.limit)
            if lowest < first {
                counts.insert(contentsOf: repeatElement(0, count: first - lowest), at: 0)
                first = lowest
            }
            return max(bucket, first) - first
        }
        let last = first + counts.count - 1
        if bucket > last {
            counts.append(contentsOf: repeatElement(0, count: bucket - last))
            if counts.count > Self.limit { collapse(counts.count - Self.limit) }
        }
        return bucket - first
    }

    private mutating func collapse(_ excess: Int) {
        let lost = counts[..<excess].reduce(0, +)
        counts.removeFirst(excess)
        counts[0] += lost
        first += excess
    }

    /// The bucket of a rank, counted from the lowest.
    func bucket(at rank: UInt64) -> Int {
        var left = rank
        for (index, count) in counts.enumerated() {
            if left < count { return first + index }
            left -= count
        }
        return first + counts.count - 1
    }

    func encode(into out: inout ByteWriter) {
        out.write(time: Int64(first))
        out.write(count: counts.count)
        for count in counts { out.write(count: Int(count)) }
    }

    init(_ reader: inout ByteReader) {
        first = Int(reader.time())
        for _ in 0..<reader.count() { counts.append(reader.number()) }
        total = counts.reduce(0, +)
    }
}
