internal import Definitions
internal import Engine
internal import Threads

/// The end of a run, for everybody who waits for it. Any thread.
final class RunEnd: Sendable {
    private let result = Locked<Result<Summary, PipelineError>?>(nil)
    private let done = Channel<Void>(capacity: 1)

    /// The run is over, and its store closed. Called once.
    func complete(_ result: Result<Summary, PipelineError>) {
        self.result.withLock { $0 = result }
        done.close()
    }

    /// Waits, at most so long; nil when it is not over by then. Keeps the calling thread.
    func wait(milliseconds: Int) -> Result<Summary, PipelineError>? {
        _ = done.receive(milliseconds: milliseconds)
        return result.withLock { $0 }
    }

    /// Waits as long as it takes. Keeps the calling thread.
    func wait() -> Result<Summary, PipelineError> {
        while true {
            _ = done.receive()
            if let result = result.withLock({ $0 }) { return result }
        }
    }
}
