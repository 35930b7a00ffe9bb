/// The units of durations in nanoseconds, from the shortest to the longest.
package let durationUnits: [(name: String, nanoseconds: Int64)] = [
    ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
    ("min", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
    ("day", 86_400_000_000_000), ("days", 86_400_000_000_000),
]

/// The units of sizes in bytes.
package let byteSizeUnits: [(name: String, bytes: Int64)] = [
    ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000),
]

/// Reads a duration such as `500ms`, `2s`, `10m`, `2h`, `1d` or `1 day`; nil when it is none.
public func parseDuration(_ text: String) -> Int64? {
    parseQuantity(text) { unit in durationUnits.first { $0.name == unit }?.nanoseconds }
}

/// Reads a size such as `512B`, `16KiB`, `64MiB` or `4GiB`; nil when it is none.
public func parseByteSize(_ text: String) -> Int64? {
    parseQuantity(text) { unit in byteSizeUnits.first { $0.name == unit }?.bytes }
}

/// A whole number and a unit, with or without a space between.
private func parseQuantity(_ text: String, factor: (Substring) -> Int64?) -> Int64? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits) else { return nil }
    guard let factor = factor(text.dropFirst(digits.count).drop { $0 == " " }) else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
}

/// A duration in nanoseconds in the longest unit that gives a whole number; one minute is `60s`.
package func durationText(_ nanoseconds: Int64) -> String {
    if nanoseconds == 0 { return "0s" }
    let units = durationUnits.filter { !["min", "day", "days"].contains($0.name) }
    let unit = units.last { unit in
        nanoseconds.isMultiple(of: unit.nanoseconds)
            && (unit.name != "m" || nanoseconds > unit.nanoseconds)
    }
    return unit.map { "\(nanoseconds / $0.nanoseconds)\($0.name)" } ?? "\(nanoseconds)ns"
}

/// A size in the largest binary unit that gives a whole number.
package func byteSizeText(_ bytes: Int) -> String {
    let unit = byteSizeUnits.prefix(5).last { Int64(bytes).isMultiple(of: $0.bytes) }
    return unit.map { "\(Int64(bytes) / $0.bytes)\($0.name)" } ?? "\(bytes)B"
}
