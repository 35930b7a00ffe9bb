internal import Definitions
internal import Queueing
internal import Records
internal import Synchronization
internal import Threads

/// What a run leaves behind for the catalogue. A note that cannot be kept is no reason to fail.
extension PipelineRun {
    /// Notes that the run has begun, and how it ends.
    func noteRun() {
        guard !options.onlyReplays, let store, let committer else { return }
        let began: Record = [
            "event": .string("began"), "rule_set": .string(versions.wanted.name),
            "once": .boolean(options.once),
        ]
        let noted = try? store.queues.commit { $0.note(began.json, in: .runs) }
        guard let id = noted?.result else { return }
        committer.atEnd.withLock { atEnd in
            atEnd = { [weak self] in
                guard let self else { return }
                self.awaitHandlers()
                let line = self.ended(id)
                _ = try? store.queues.commit { $0.note(line, in: .runs) }
                for body in self.endings.withLock({ $0 }) { body() }
            }
        }
    }

    /// Calls `body` once all commits are made and the end of the run is noted, while the store is
    /// still open; on a thread of the run, which waits. Never when the run is over by now.
    public func whenEnding(_ body: @escaping @Sendable () -> Void) {
        endings.withLock { $0.append(body) }
    }

    /// Lets handlers end what they are at, for a while: what takes longer comes again.
    private func awaitHandlers() {
        let pause = Channel<Void>(capacity: 1)
        for _ in 0..<400 where busyHandlers.load(ordering: .relaxed) > 0 {
            _ = pause.receive(milliseconds: 5)
        }
    }

    private func ended(_ id: String) -> [UInt8] {
        func count(_ number: Int) -> Value { .integer(Int64(number)) }
        let sinks = plan.definition.sinks.count
        let delivered = shared.withLock { $0.delivered.prefix(sinks).reduce(0, +) }
        var ended: Record = [
            "event": .string("ended"), "run": .string(id), "read": count(progress.read),
            "delivered": count(delivered), "dead_letters": count(progress.deadLetters),
        ]
        if let failure = shared.withLock({ $0.failure }) {
            ended["error"] = .string(failure.description)
        }
        return ended.json
    }

    /// Notes that somebody let dead letters be run again.
    func noteReplay(_ result: ReplayResult) {
        let act: Record = [
            "act": .string("dlq replay"), "total": .integer(Int64(result.total)),
            "delivered": .integer(Int64(result.delivered)),
            "dropped": .integer(Int64(result.dropped)), "dead": .integer(Int64(result.dead)),
        ]
        _ = try? store?.queues.commit { $0.note(act.json, in: .audit) }
    }
}
