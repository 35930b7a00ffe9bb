public import Records

/// Dead letters that failed alike and of which the same would become.
public struct ReplayGroup: Sendable, Hashable {
    /// What would become of a letter.
    public enum Outcome: String, Sendable {
        /// It goes on to where the rules send it.
        case delivered
        /// A rule drops it.
        case dropped
        /// It fails again.
        case dead
    }

    /// What would become of them.
    public var outcome: Outcome
    /// The stage in which they failed; of those that fail again, the one in which they do now.
    public var stage: String
    /// Why they failed, or fail now.
    public var reason: String
    /// How many there are.
    public var count = 0
    /// The first few.
    public var samples: [ReplaySample] = []

    /// How many samples there are of each group, and how many groups are told.
    static let sampleLimit = 3
    static let groupLimit = 50

    /// As a part of the answer.
    var value: Value {
        .object([
            Field("outcome", .string(outcome.rawValue)), Field("stage", .string(stage)),
            Field("reason", .string(reason)), Field("count", .integer(Int64(count))),
            Field("records", .array(samples.map(\.value))),
        ])
    }
}

/// One letter, before and after.
public struct ReplaySample: Sendable, Hashable {
    /// The record's id.
    public var id: String
    /// The sink that would get a row of it, or `window of STAGE`; nil without one.
    public var target: String?
    /// The reason of the rule that drops it.
    public var dropped: String?
    /// The record as the source gave it; a text when it is no JSON.
    public var before: Value
    /// The first row that would be delivered.
    public var after: Value?

    /// As a part of the answer.
    var value: Value {
        var fields = [Field("id", .string(id))]
        if let target { fields.append(Field("to", .string(target))) }
        if let dropped { fields.append(Field("dropped", .string(dropped))) }
        fields.append(Field("before", before))
        guard let after else { return .object(fields) }
        fields.append(Field("after", after))
        let changes = differences(from: before, to: after).map { difference -> Value in
            var parts = [Field("path", .string(difference.path))]
            if let old = difference.expected { parts.append(Field("before", old)) }
            if let new = difference.actual { parts.append(Field("after", new)) }
            return .object(parts)
        }
        fields.append(Field("diff", .array(changes)))
        return .object(fields)
    }
}

extension ReplayResult {
    /// Counts a letter, and keeps it as a sample when there are few like it.
    mutating func note(
        _ outcome: ReplayGroup.Outcome, stage: String, reason: String, sample: ReplaySample
    ) {
        switch outcome {
        case .delivered: delivered += 1
        case .dropped: dropped += 1
        case .dead: dead += 1
        }
        let known = groups.firstIndex {
            $0.outcome == outcome && $0.stage == stage && $0.reason == reason
        }
        if known == nil {
            guard groups.count < ReplayGroup.groupLimit else { return }
            groups.append(ReplayGroup(outcome: outcome, stage: stage, reason: reason))
        }
        let place = known ?? groups.count - 1
        groups[place].count += 1
        if groups[place].samples.count < ReplayGroup.sampleLimit {
            groups[place].samples.append(sample)
        }
    }

    /// What is fixed first, then what fails again; the most frequent first.
    mutating func sortGroups() {
        let order: [ReplayGroup.Outcome: Int] = [.delivered: 0, .dropped: 1, .dead: 2]
        let sorted = groups.enumerated().sorted { left, right in
            let ranks = (order[left.element.outcome] ?? 3, order[right.element.outcome] ?? 3)
            if ranks.0 != ranks.1 { return ranks.0 < ranks.1 }
            if left.element.count != right.element.count {
                return left.element.count > right.element.count
            }
            return left.offset < right.offset
        }
        groups = sorted.map(\.element)
    }
}
