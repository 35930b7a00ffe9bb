/// Why a run could not start or did not end well.
public struct PipelineError: Error, Sendable, CustomStringConvertible {
    /// 1: it failed; 2: the configuration is wrong.
    public var exitCode: Int32
    /// One screen at most: what, where, what to do next.
    public var description: String

    /// Creates an error.
    public init(exitCode: Int32, _ description: String) {
        self.exitCode = exitCode
        self.description = description
    }
}
