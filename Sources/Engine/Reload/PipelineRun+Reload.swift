internal import Definitions
internal import Journal
internal import Queueing
internal import Scripting

extension PipelineRun {
    /// Loads the rule files as they are now, or says why not; the stream goes on meanwhile. Any
    /// thread but those of the run.
    public func reload(_ request: ReloadRequest = ReloadRequest()) -> ReloadOutcome {
        guard let reloader else { return notYet }
        return reloader.reload(request)
    }

    /// Makes a version active that was so before. Refused when it cannot take the state back that
    /// a later one has changed; with `force` such state stays as it is. Any thread but those of
    /// the run.
    public func rollBack(
        to version: String, _ request: ReloadRequest = ReloadRequest()
    ) -> ReloadOutcome {
        guard let reloader else { return notYet }
        return reloader.rollBack(to: version, request)
    }

    /// All versions of the rules, oldest first.
    public var versionRows: [VersionRow] { reloader?.rows ?? [] }

    private var notYet: ReloadOutcome {
        ReloadOutcome(
            result: .refused, version: plan.ruleSet.version, step: "busy",
            reason: "the pipeline is still starting; try again")
    }
}

/// The versions that a store knows, for whoever opens it while nothing runs.
public struct VersionHistory: Sendable {
    private var table = VersionTable()

    /// An empty history.
    public init() {}

    /// Takes in an entry of the store that is not the queues'.
    public mutating func take(kind: UInt8, _ bytes: RawSpan) {
        switch StoreEntry.Kind(rawValue: kind) {
        case .version: table.restoreVersion(bytes)
        case .outcome: table.restoreRows(bytes.array)
        default: break
        }
    }

    /// All versions, oldest first.
    public var rows: [VersionRow] { table.rows }
}
