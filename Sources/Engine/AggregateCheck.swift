internal import Definitions
package import Records
internal import Scripting
internal import Threads
internal import Windowing

/// Checks aggregates in Lua before the first record: that they have what their windows need, and
/// that merging two halves gives what adding everything gives.
extension Plan {
    /// CPU nanoseconds for all aggregates of a plan: a start and a reload wait for the check.
    private static let checkTime: UInt64 = 700_000_000
    /// CPU nanoseconds of one call, when the budget of its stage is not less.
    private static let callTime: Int64 = 150_000_000

    func checkAggregates(_ vm: borrowing RuleVM) throws(RuleError) {
        let end = threadNanoseconds() + Self.checkTime
        for (index, stage) in definition.stages.enumerated() {
            guard case .aggregate(let aggregate) = stage.work,
                let hook = vm.hook(of: index) as? WindowHook
            else { continue }
            let budget = min(stage.budgetNanoseconds, Self.callTime)
            let usual = vm.setBudget(ofStage: index, nanoseconds: budget)
            defer { _ = vm.setBudget(ofStage: index, nanoseconds: usual) }
            for (place, file) in aggregate.userFiles.enumerated() {
                try check(
                    hook.aggregates, place, file.path, aggregate.definition.window, until: end)
            }
        }
    }

    private func check(
        _ users: LuaAggregates, _ place: Int, _ path: String, _ window: WindowKind,
        until end: UInt64
    ) throws(RuleError) {
        do throws(UserAggregateError) {
            _ = try users.create(place)
        } catch {
            throw RuleError(error.message)
        }
        var samples = SampleRecords(plan: self, script: ruleSet.bytes(of: path) ?? [])
        var nothing: UserAggregateError?
        var usable = 0
        for round in 0..<400 where usable < 24 && threadNanoseconds() < end {
            let records = samples.next(6)
            let whole: Value
            do throws(UserAggregateError) {
                whole = try result(users, place, records)
            } catch {
                // A few made-up records are no reason to run for ever, or out of memory.
                if error.isBreach { throw RuleError(error.message) }
                // Most other errors mean nothing with made-up records; this one does.
                if error.message.contains("returned nothing") { nothing = nothing ?? error }
                continue
            }
            nothing = nil
            usable += 1
            let split = 1 + (round + usable) % 5
            guard users.canMerge(place) || users.canRetract(place) else { break }
            if users.canMerge(place) {
                try compare(users, place, path, records, split: split, whole)
            }
            if users.canRetract(place) {
                try compareRetracted(users, place, path, records, split: split)
            }
        }
        if let nothing { throw RuleError(nothing.message) }
        try checkMerge(users, place, path, window)
    }

    private func checkMerge(
        _ users: LuaAggregates, _ place: Int, _ path: String, _ window: WindowKind
    ) throws(RuleError) {
        if users.canMerge(place) { return }
        let kind: String
        switch window {
        case .session: kind = "session"
        case .rolling, .rollingRows:
            if users.canRetract(place) { return }
            kind = "rolling"
        default: return
        }
        throw RuleError(
            "\(path):1: a \(kind) window needs the function \"merge\" of the aggregate")
    }

    /// Adding all records and taking the first ones back is adding the others.
    private func compareRetracted(
        _ users: LuaAggregates, _ place: Int, _ path: String, _ records: [[UInt8]], split: Int
    ) throws(RuleError) {
        let rest: Value
        let taken: Value
        do throws(UserAggregateError) {
            rest = try result(users, place, Array(records[split...]))
            var accumulator = try accumulate(users, place, records[...])
            for record in records[..<split] {
                accumulator = try users.retract(place, accumulator, record)
            }
            taken = try value(users, place, accumulator)
        } catch {
            throw RuleError("\(error.message) (taking back records that were added)")
        }
        if Self.isSame(rest, taken) { return }
        throw RuleError(
            "\(path):1: retract of the first \(split) records gives \(text(taken.json)), adding "
                + "only the others gives \(text(rest.json)); the records: "
                + records.map(text).joined(separator: " "))
    }

    private func compare(
        _ users: LuaAggregates, _ place: Int, _ path: String, _ records: [[UInt8]], split: Int,
        _ whole: Value
    ) throws(RuleError) {
        let halves: Value
        do throws(UserAggregateError) {
            halves = try merged(users, place, records, split)
        } catch {
            throw RuleError("\(error.message) (merging two halves of what add takes)")
        }
        if Self.isSame(whole, halves) { return }
        throw RuleError(
            "\(path):1: merging two parts gives \(text(halves.json)), adding all records gives "
                + "\(text(whole.json)); the records: " + records.map(text).joined(separator: " "))
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func accumulate(
        _ users: LuaAggregates, _ place: Int, _ records: ArraySlice<[UInt8]>
    ) throws(UserAggregateError) -> [UInt8] {
        var accumulator = try users.create(place)
        for record in records { accumulator = try users.add(place, accumulator, record) }
        return accumulator
    }

    private func result(
        _ users: LuaAggregates, _ place: Int, _ records: [[UInt8]]
    ) throws(UserAggregateError) -> Value {
        try value(users, place, try accumulate(users, place, records[...]))
    }

    private func merged(
        _ users: LuaAggregates, _ place: Int, _ records: [[UInt8]], _ split: Int
    ) throws(UserAggregateError) -> Value {
        let left = try accumulate(users, place, records[..<split])
        let right = try accumulate(users, place, records[split...])
        return try value(users, place, try users.merge(place, left, right))
    }

    private func value(
        _ users: LuaAggregates, _ place: Int, _ accumulator: [UInt8]
    ) throws(UserAggregateError) -> Value {
        var reader = JSONReader(try users.result(place, accumulator, start: 0, end: 60_000))
        do {
            return try reader.readDocument()
        } catch {
            throw UserAggregateError(message: "\(error)")
        }
    }

    /// The same value, but for the last digits of numbers, which depend on the order of adding.
    package static func isSame(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.array(let one), .array(let other)):
            return one.count == other.count && zip(one, other).allSatisfy { isSame($0, $1) }
        case (.object(let one), .object(let other)):
            let names = Set(one.map(\.name))
            return names == Set(other.map(\.name))
                && names.allSatisfy { name in
                    let pair = (Record(one)[name], Record(other)[name])
                    guard let first = pair.0, let second = pair.1 else { return false }
                    return isSame(first, second)
                }
        default:
            guard let one = left.double, let other = right.double else { return left == right }
            return (one - other).magnitude <= 1e-9 * max(1, max(one.magnitude, other.magnitude))
        }
    }
}
