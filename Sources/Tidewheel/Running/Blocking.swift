internal import Threads

/// Runs `body`, which waits for locks, disks or rules, on a thread of its own: the few threads that
/// tasks share are not for that.
func onThread<Success: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Success
) async throws(Failure) -> Success {
    try await withCheckedContinuation { continuation in
        WorkerThread {
            let result: Result<Success, Failure>
            do throws(Failure) { result = .success(try body()) } catch {
                result = .failure(error)
            }
            continuation.resume(returning: result)
        }.detach()
    }.get()
}
