internal import Connecting
internal import Definitions

/// How a run opens its sinks.
extension PipelineRun {
    func openSinks(_ context: RunContext) throws(PipelineError) -> SinkBox {
        var sinks: [any OutletSink] = []
        do throws(ConnectorError) {
            for sink in plan.definition.sinks where !options.onlyLooks {
                var context = context
                context.resumption.positions = store?.state.positions["sink \(sink.name)"] ?? [:]
                context.takesDeadLetters = sink.from == .deadLetters
                if let queue = sink.queue {
                    guard let store else { throw Self.queueNeedsStore }
                    sinks.append(try store.sink(queue))
                } else {
                    sinks.append(try feed(try sink.open(context), sink.name))
                }
            }
            if !options.onlyLooks { warnOfOrphans(context) }
            if store != nil { sinks.append(LetterSink()) }
            if ring != nil { for slot in 0..<Tap.most { sinks.append(TapSink(self, slot: slot)) } }
        } catch {
            for sink in sinks { sink.abandon() }
            let failure = PipelineError(exitCode: 1, error.description)
            fail(failure)
            throw failure
        }
        return SinkBox(sinks)
    }

    static let queueNeedsStore = ConnectorError.queueNeedsStore

    private static let outboxNeedsStore = ConnectorError(
        "error: an outbox needs a store; leave out `--fresh` and `durability: memory`")

    /// What takes the rows of a sink: the sink itself, or what leads to it by the outbox.
    private func feed(
        _ sink: OpenedSink, _ name: String
    ) throws(ConnectorError) -> any OutletSink {
        switch sink {
        case .rows(let sink): return ConnectorSink(sink, name: name)
        case .outbox(let receiver):
            guard let store else {
                receiver.abandon()
                throw Self.outboxNeedsStore
            }
            let left = store.state.outbox.sinks[name] ?? OutboxState()
            return outboxes.add(receiver, name: name, left: left, plan)
        }
    }

    /// Rows of a sink that is not there any more wait for it; nobody else can have them.
    private func warnOfOrphans(_ context: RunContext) {
        guard let store else { return }
        for (name, left) in store.state.outbox.sinks.sorted(by: { $0.key < $1.key })
        where !left.chunks.isEmpty && !outboxes.has(name) {
            let count = left.chunks.reduce(0) { $0 + $1.count }
            context.warn(
                "warning: \(count) rows for the sink \"\(name)\" wait in the store, and no sink "
                    + "of that name has an outbox; they come once there is one\n")
        }
    }
}

extension Plan {
    /// Rows that wait for a commit need a store that it goes into.
    func checkOutbox(_ options: RunOptions) throws(PipelineError) {
        guard options.data == nil, let place = definition.sinks.compactMap(\.outbox).first else {
            return
        }
        throw PipelineError(
            exitCode: 2,
            "\(place): error: an outbox needs a store, and this run keeps none; leave out "
                + "`--fresh`, or the outbox")
    }
}

/// Hands the sinks to the thread that writes, which alone uses them from then on.
final class SinkBox: @unchecked Sendable {  // Handed over once, before use.
    let sinks: [any OutletSink]
    init(_ sinks: [any OutletSink]) { self.sinks = sinks }
}
