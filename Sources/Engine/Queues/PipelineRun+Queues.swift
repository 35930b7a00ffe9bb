internal import Connecting
internal import Definitions
public import Queueing
internal import Scripting

extension PipelineRun {
    /// The names that lead to queues; none without a store.
    public var exchanges: [Exchange] { store?.exchanges ?? [] }

    /// The functions in Lua that queues ask.
    public var queueScripts: QueueScripts { scripts }

    /// Loads what only queues and handlers call, so that a mistake is found before the start.
    func checkFunctions() throws(PipelineError) {
        do throws(RuleError) { try plan.checkQueueFunctions() } catch {
            throw refused(PipelineError(exitCode: 2, "error: \(error)"))
        }
    }

    /// Starts the threads of handlers, unless only dead letters are to be run again.
    func startHandlers() throws(PipelineError) {
        guard !options.onlyReplays else { return }
        for handler in plan.definition.handlers {
            guard let store else {
                throw PipelineError(
                    exitCode: 2,
                    "\(handler.location): \(ConnectorError.queueNeedsStore.description)")
            }
            try HandlerPool(run: self, handler: handler, store: store).start()
        }
    }

    /// Publishes what is due at the start, and goes on unless the run is for what is there now.
    func startSchedules() throws(PipelineError) {
        guard let first = plan.definition.schedules.first, !options.onlyReplays else { return }
        guard let store, let committer else {
            throw refused(
                PipelineError(
                    exitCode: 2, "\(first.location): \(ConnectorError.queueNeedsStore.description)")
            )
        }
        var schedules = Schedules(self, store, committer)
        do throws(PipelineError) { try schedules.publishDue() } catch { throw refused(error) }
        if options.once { return }
        let begun = schedules
        startThread { _ in
            var schedules = begun
            schedules.main()
        }
    }

    /// The threads that run already hear of it.
    private func refused(_ error: PipelineError) -> PipelineError {
        fail(error)
        return error
    }
}
