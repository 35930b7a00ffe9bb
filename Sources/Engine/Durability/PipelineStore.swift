internal import Definitions
internal import Journal
package import Queueing
internal import Threads

/// The store of a pipeline: its journal with the queues, and the state that follows from it.
package final class PipelineStore: @unchecked Sendable {  // `state`: the committer's, once started.
    /// The queue that holds dead letters; no other can have such a name.
    static let letters = ".dead_letters"

    let queues: Store<SystemDisk>
    /// The names that lead to queues.
    let exchanges: [Exchange]
    package let state: PipelineState
    private let durability: Durability
    private let letterQueue: QueueHandle

    /// Bytes of a torn tail that were cut off when it was opened.
    var truncatedBytes: Int { queues.truncatedBytes }

    /// Opens or makes a store; throws when another process has it or when it is damaged. What it
    /// knows of the state of rules goes to `rules` as well, in order.
    init(
        _ directory: String, _ settings: LogSettings, _ definition: Definition,
        _ scripts: QueueScripts, rules: Channel<[UInt8]>? = nil
    ) throws(QueueError) {
        let state = PipelineState()
        state.beginRestoring(defersRules: rules != nil)
        var random = SystemRandomNumberGenerator()
        let queues = try Store(
            opening: directory, on: SystemDisk(), settings: settings,
            queues: definition.queueSettings(scripts) + [DeadLetters.settings, .audit, .runs],
            random: &random,
            foreign: { (kind, bytes) throws(JournalError) in
                if kind == StoreEntry.Kind.rules.rawValue { rules?.send(bytes.array) }
                state.apply(kind, bytes)
            }, restored: { state.endRestoring() })
        self.state = state
        self.durability =
            switch definition.durability {
            case .disk, .memory: .disk
            case .within(let milliseconds): .within(milliseconds: milliseconds)
            case .osCache: .osCache
            }
        letterQueue = try queues.engineQueue(Self.letters)
        exchanges = try definition.exchanges(scripts) { (name) throws(QueueError) in
            try queues.queue(name)
        }
        self.queues = queues
        if state.partitions == nil { try notePartitions(definition.partitions) }
    }

    private func notePartitions(_ count: Int) throws(QueueError) {
        let bytes = Array("\(count)".utf8)
        let kind = StoreEntry.Kind.partitions.rawValue
        _ = try queues.commit(.osCache) { transaction in transaction.add(kind: kind, bytes) }
        unsafe state.apply(kind, bytes.span.bytes)
    }

    /// True when a commit has to be on stable storage before it counts.
    var isSynced: Bool { durability == .disk }

    /// The queue of dead letters.
    var letterHandle: QueueHandle { letterQueue }

    /// Writes a draft as one transaction and waits until it is kept.
    func commit(_ draft: CommitDraft) throws(QueueError) {
        let entries = draft.entries
        guard !entries.isEmpty || draft.hasMessages else { return }
        let (_, sequence) = try queues.commit(durability) { (transaction) throws(QueueError) in
            for (kind, bytes) in entries {
                transaction.add(kind: kind.rawValue, bytes)
            }
            for (queue, receipts) in draft.receipts {
                try transaction.acknowledge(receipts, in: queue)
            }
            transaction.discard(draft.replayed, from: letterQueue)
            for letter in draft.letters {
                try transaction.publish(NewMessage(letter), to: letterQueue)
            }
            for (queue, payloads) in draft.messages {
                for payload in payloads {
                    try transaction.publish(NewMessage(payload), to: queue)
                }
            }
            for routed in draft.routed {
                try transaction.publish(routed.message, to: routed.queues)
            }
        }
        switch durability {
        case .disk: try queues.waitUntilDurable(sequence)
        case .within, .osCache: try queues.waitUntilWritten(sequence)
        }
        for (kind, bytes) in entries { unsafe state.apply(kind.rawValue, bytes.span.bytes) }
    }

    package func close() throws(QueueError) { try queues.close() }
}
