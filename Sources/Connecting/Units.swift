/// Reads a duration such as `500ms`, `2s`, `10m`, `2h`, `1d` or `1 day`; nil when it is none.
public func parseDuration(_ text: String) -> Int64? {
    let units: [String: Int64] = [
        "ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
        "min": 60_000_000_000, "h": 3_600_000_000_000, "d": 86_400_000_000_000,
        "day": 86_400_000_000_000, "days": 86_400_000_000_000,
    ]
    return parseQuantity(text, units: units)
}

/// Reads a size such as `512B`, `16KiB`, `64MiB` or `4GiB`; nil when it is none.
public func parseByteSize(_ text: String) -> Int64? {
    let units: [String: Int64] = [
        "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "KB": 1_000,
        "MB": 1_000_000, "GB": 1_000_000_000,
    ]
    return parseQuantity(text, units: units)
}

/// A whole number and one of the units, with or without a space between.
private func parseQuantity(_ text: String, units: [String: Int64]) -> Int64? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits) else { return nil }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    guard let factor = units[String(unit)] else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
}
