public import Engine

extension RunningPipeline {
    /// Loads the rule files of the folder as they are now. They are compiled, linted, tested and
    /// run over the last records beside the stream; only then does every worker take them, between
    /// two records. Whatever fails, the rules of before go on, and the outcome says why.
    ///
    /// - Parameters:
    ///   - shadow: on how many of the last records they are tried; nil as pipeline.yaml says.
    ///   - maxDifference: the share of those that may come out differently, 0 to 1; nil as
    ///     pipeline.yaml says.
    ///   - force: lint, tests, differences and state of a newer layout do not stop it.
    public func reload(
        shadow: Int? = nil, maxDifference: Double? = nil, force: Bool = false
    ) async -> ReloadOutcome {
        var request = ReloadRequest()
        request.shadow = shadow
        request.maxDifference = maxDifference
        request.force = force
        let (run, asked) = (run, request)
        return await onThread { run.reload(asked) }
    }

    /// Makes a version active that was so before.
    ///
    /// - Parameters:
    ///   - version: its name, the 12 hexadecimal digits of ``versions``.
    ///   - force: state that its rules cannot take back stays as it is, instead of stopping it.
    public func rollBack(to version: String, force: Bool = false) async -> ReloadOutcome {
        var request = ReloadRequest()
        request.force = force
        let (run, asked) = (run, request)
        return await onThread { run.rollBack(to: version, asked) }
    }

    /// What became of the versions of the rules, oldest first; with a store also those of earlier
    /// runs.
    public var versions: [VersionRow] { run.versionRows }
}
