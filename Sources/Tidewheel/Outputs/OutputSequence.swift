public import Records

/// What leaves a stage, record by record, in the order in which their records were read.
///
/// The sequence ends when the pipeline ends. Reading slowly makes the pipeline wait, by 1,024
/// records at most; nobody reading does not: when the task that reads is cancelled, and when the
/// sequence and its iterator are let go, it ends for good, and rows are thrown away from then on.
/// One task reads at a time. Rows are handed over before their commit is kept, so a later run may
/// hand over the last ones again.
public struct OutputSequence: AsyncSequence, Sendable {
    /// A record that left the stage.
    public typealias Element = Record

    let reader: OutputReader

    /// Takes the records out of the queue.
    public struct Iterator: AsyncIteratorProtocol {
        let reader: OutputReader

        /// The next record; nil at the end, and when the task is cancelled.
        public mutating func next() async -> Record? { await reader.queue.next() }
    }

    /// Begins to read, or goes on where another iterator has stopped.
    public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }
}

/// Whoever may read an output; once nobody may any more, nobody has to wait for it.
final class OutputReader: Sendable {
    let queue: OutputQueue

    init(_ queue: OutputQueue) { self.queue = queue }

    deinit { queue.abandon() }
}
