internal import Definitions
internal import Scripting
internal import Threads
internal import Windowing

/// Gives the rows that the windows of all lanes have made for one batch the places and the names
/// that they would have with a single lane. So each lane can run the rules behind windows on its
/// own rows, and the outlet can put back in order what comes out.
///
/// One batch is ranked at a time: lanes take batches in the order of reading, so whoever is the
/// last to be done with one is ahead of whoever is the last with the next.
final class RowRanking: @unchecked Sendable {  // Protected by that order.
    /// The places of one lane's rows of one aggregate stage.
    struct Places: Sendable {
        var main: [UInt32] = []
        var late: [UInt32] = []
        /// What has to be added to a row's place to have its number among those of the output.
        var mainOffset: UInt64 = 0
        var lateOffset: UInt64 = 0
    }

    /// What all lanes have given to one aggregate stage's outputs.
    struct Summary: Sendable {
        var rows = 0
        var late = 0
        var lateAfterClose = 0
        /// How many rows of each output have had a name, this batch's included.
        var mainPosition: UInt64 = 0
        var latePosition: UInt64 = 0
    }

    private let stages: [DeliveredStage]
    private var names: [RowNames]
    private var hasBegun = false

    /// Nil when the rules behind windows cannot be shared: there are none, they keep state, or
    /// there are windows behind windows or over dead letters.
    init?(_ plan: Plan) {
        guard plan.sharesRowsOfWindows else { return nil }
        stages = plan.aggregateStages.map { DeliveredStage($0.index, plan.definition) }
        names = stages.map { RowNames($0.name, [:]) }
    }

    /// Goes on with the names that an earlier run has given; before the first batch.
    func restore(_ positions: [String: UInt64]) {
        guard !hasBegun else { return }
        names = stages.map { RowNames($0.name, positions) }
    }

    /// Ranks the rows of a batch, given by lane; the places come by lane, then by stage.
    func rank(_ results: [WindowResults]) -> (places: [[Places]], stages: [Summary]) {
        hasBegun = true
        var places = results.map { _ in stages.map { _ in Places() } }
        var summaries: [Summary] = []
        var ordinal: UInt32 = 0
        for (place, stage) in stages.enumerated() {
            let rows = results.map { $0.rows[place] }
            var summary = Summary()
            for part in rows {
                summary.rows += part.output.rowTimes.count
                summary.late += part.output.lateCount
                summary.lateAfterClose += part.output.lateAfterClose
            }
            // Names are counted from 1, places from 0.
            if stage.sharesMain {
                let offset = names[place].main + 1 &- UInt64(ordinal)
                Self.rank(rows, &ordinal, { $0.rowOrder($1) }) { places[$0][place].main.append($1) }
                for lane in places.indices { places[lane][place].mainOffset = offset }
                names[place].main = offset &+ UInt64(ordinal) &- 1
            }
            if stage.sharesLate {
                let offset = names[place].late + 1 &- UInt64(ordinal)
                Self.rank(rows, &ordinal, { $0.lateOrder($1) }) {
                    places[$0][place].late.append($1)
                }
                for lane in places.indices { places[lane][place].lateOffset = offset }
                names[place].late = offset &+ UInt64(ordinal) &- 1
            }
            summary.mainPosition = names[place].main
            summary.latePosition = names[place].late
            summaries.append(summary)
        }
        return (places, summaries)
    }

    private static func rank(
        _ parts: [WindowRows], _ ordinal: inout UInt32,
        _ orders: (WindowRows, Int) -> RowOrder?, _ note: (_ lane: Int, _ ordinal: UInt32) -> Void
    ) {
        var next = parts.map { _ in 0 }
        while let part = WindowOutput.first(of: parts, next, orders) {
            note(part, ordinal)
            next[part] += 1
            ordinal += 1
        }
    }
}

/// What lanes do with the rows of one aggregate stage, and what is left to the outlet: rows that go
/// straight to sinks.
struct DeliveredStage: Sendable {
    let name: String
    let sharesMain: Bool
    let sharesLate: Bool

    init(_ index: Int, _ definition: Definition) {
        name = definition.stages[index].name
        sharesMain = definition.onlySinks(of: .stage(index, output: nil)) == nil
        sharesLate = definition.onlySinks(of: .stage(index, output: "late")) == nil
    }
}

extension Plan {
    /// True when any lane may run the rules behind windows on any row.
    var sharesRowsOfWindows: Bool {
        definition.hasStagesBehindWindows && !keepsStateBehind
            && !aggregateStages.contains(where: \.isInTail)
    }

    /// True when rules behind windows keep state.
    var keepsStateBehind: Bool {
        keepsState { definition.isBehindWindows($0) }
    }
}
