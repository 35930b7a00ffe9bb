internal import Definitions
public import Records

/// Compares values and notes where they differ.
package struct ValueComparison {
    /// Where the values differ, in the order found.
    package private(set) var differences: [Difference] = []

    /// Nothing was compared yet.
    package init() {}

    /// Everything must be the same: no field more, none less.
    package mutating func same(_ expected: Value, _ actual: Value?, at path: String) {
        compare(expected, actual, path, isPart: false)
    }

    /// What is expected must be in there.
    package mutating func part(_ expected: Value, _ actual: Value?, at path: String) {
        compare(expected, actual, path, isPart: true)
    }

    /// Notes something in words.
    package mutating func note(_ path: String, _ text: String) {
        differences.append(Difference(path: path, note: text))
    }

    /// Takes over what another comparison has found.
    package mutating func add(_ others: [Difference]) { differences += others }

    private mutating func compare(
        _ expected: Value?, _ actual: Value?, _ path: String, isPart: Bool
    ) {
        switch (expected, actual) {
        case (.object(let wanted), .object(let found)):
            compareFields(Record(wanted), Record(found), path, isPart: isPart)
        case (.array(let wanted), .array(let found)):
            for index in 0..<max(wanted.count, found.count) {
                // A plain `nil` would become JSON's null here.
                let one = wanted.indices.contains(index) ? Optional(wanted[index]) : .none
                let other = found.indices.contains(index) ? Optional(found[index]) : .none
                compare(one, other, "\(path)[\(index + 1)]", isPart: isPart)
            }
        default:
            guard expected != actual else { return }
            differences.append(Difference(path: path, expected: expected, actual: actual))
        }
    }

    private mutating func compareFields(
        _ wanted: Record, _ found: Record, _ path: String, isPart: Bool
    ) {
        for name in Self.names(wanted.fields) {
            compare(wanted[name], found[name], Self.join(path, name), isPart: isPart)
        }
        guard !isPart else { return }
        for name in Self.names(found.fields) where wanted[name] == nil {
            compare(nil, found[name], Self.join(path, name), isPart: false)
        }
    }

    /// Each name once, in order.
    private static func names(_ fields: [Field]) -> [String] {
        var seen: Set<[UInt8]> = []
        return fields.map(\.name).filter { seen.insert(Array($0.utf8)).inserted }
    }

    private static func join(_ path: String, _ name: String) -> String {
        if isName(name, others: []) { return path.isEmpty ? name : "\(path).\(name)" }
        return "\(path)[\(String(decoding: Value.string(name).json, as: UTF8.self))]"
    }
}

/// Where two values differ; `before` and `after` take the parts of expected and actual.
public func differences(from before: Value, to after: Value, at path: String = "") -> [Difference] {
    var comparison = ValueComparison()
    comparison.same(before, after, at: path)
    return comparison.differences
}

/// One place where what came out differs from what was expected.
public struct Difference: Sendable, Hashable {
    /// Where: `out.meta.tags[2]`.
    public var path: String
    /// What was expected; nil for nothing at all.
    public var expected: Value?
    /// What came; nil for nothing at all.
    public var actual: Value?
    /// Words instead of `expected` or `actual`, where they say more.
    public var note: String?

    /// `out.flag: expected "big", got nothing`.
    public var text: String {
        if let note { return "\(path): \(note)" }
        return "\(path): expected \(Self.show(expected)), got \(Self.show(actual))"
    }

    private static func show(_ value: Value?) -> String {
        guard let value else { return "nothing" }
        return String(decoding: value.json, as: UTF8.self)
    }
}
