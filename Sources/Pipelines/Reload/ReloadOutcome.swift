/// What somebody wants of a reload.
public struct ReloadRequest: Sendable {
    /// Who asks: `watch`, `command` or `rollback`.
    public var by = "command"
    /// How many records the version is tried on; nil: as `pipeline.yaml` says.
    public var shadow: Int?
    /// The share of them that may come out differently, 0 to 1; nil: as `pipeline.yaml` says.
    public var maxDifference: Double?
    /// Tests and differences are told, but do not stop it.
    public var force = false

    /// Creates a request with the pipeline's own settings.
    public init() {}
}

/// What came of it.
public struct ReloadOutcome: Sendable {
    /// How it ended.
    public enum Result: String, Sendable {
        /// The version runs.
        case active
        /// The files are those of the version that runs.
        case unchanged
        /// It was refused; everything is as it was.
        case refused
    }

    /// How it ended.
    public var result: Result
    /// The version that was wanted.
    public var version: String
    /// Where it was refused: `compile`, `test`, `shadow` or `migrate`.
    public var step: String?
    /// Why, on one screen: file and line, the test, or the figures of the shadow run.
    public var reason: String?
    /// What the shadow run has found, if there was one.
    public var shadow: ShadowReport?
    /// Milliseconds from the request until the version ran.
    public var milliseconds = 0.0
}
