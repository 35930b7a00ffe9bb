public import Connecting
public import Records
internal import Threads

/// A source that follows a script, with several partitions that it may give back; it watches
/// whether the engine keeps its side of the contract.
public final class ScriptedSource: Source {
    /// What one call of `read` brings.
    public enum Step: Sendable {
        /// So many records of a partition.
        case records(Int, of: String)
        /// Nothing for now.
        case nothing
        /// The partitions belong to somebody else.
        case revoke([String])
        /// The call fails; whether it is made again is up to the engine.
        case fail(ConnectorError)
    }

    /// What has happened, for a test that looks at it from another thread.
    public final class Watch: Sendable {
        /// How a partition stands.
        struct Partition: Sendable {
            /// Records that were read, and that are committed.
            var read = 0
            var kept = 0
            var isRevoked = false
        }

        struct State: Sendable {
            var partitions: [String: Partition] = [:]
            var events: [String] = []
            var violations: [String] = []
            var read = 0
        }

        let state = Locked(State())

        /// Nothing has happened yet.
        public init() {}

        /// What was against the contract.
        public var violations: [String] { state.withLock { $0.violations } }
        /// Partitions that were given back, and failures, in order.
        public var events: [String] { state.withLock { $0.events } }
        /// How many records were read.
        public var readCount: Int { state.withLock { $0.read } }
        /// How many records of a partition are committed.
        public func keptCount(of partition: String) -> Int {
            state.withLock { $0.partitions[partition]?.kept ?? 0 }
        }
    }

    private var steps: [Step]
    private let watch: Watch
    private let name: String
    /// The partition of the last batch.
    private var last = ""
    private var told: [String: Int] = [:]
    /// What the engine has to give back before it reads on.
    private var revoked: [String] = []

    /// Takes the steps; at the end of them the source ends.
    public init(_ steps: [Step], _ watch: Watch, _ context: RunContext) {
        self.steps = steps.reversed()
        self.watch = watch
        name = context.sourceName
        for (partition, position) in context.resumption.positions {
            let count = Int(String(decoding: position, as: UTF8.self)) ?? 0
            told[partition] = count
            watch.state.withLock {
                $0.partitions[partition] = Watch.Partition(read: count, kept: count)
            }
        }
    }

    /// Takes the next step.
    public func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        if !revoked.isEmpty {
            let text = "read before \(revoked) were released"
            watch.state.withLock { $0.violations.append(text) }
        }
        if !batch.isEmpty {
            watch.state.withLock { $0.violations.append("the batch is not empty") }
        }
        guard let step = steps.popLast() else { return .end }
        switch step {
        case .nothing: return .nothingYet
        case .fail(let error):
            watch.state.withLock { $0.events.append("failed \(error)") }
            throw error
        case .revoke(let partitions):
            revoked = partitions
            watch.state.withLock { state in
                for name in partitions { state.partitions[name, default: .init()].isRevoked = true }
            }
            return .revoked(partitions)
        case .records(let count, of: let partition):
            fill(batch, count, partition)
            return .records
        }
    }

    private func fill(_ batch: Batch, _ count: Int, _ partition: String) {
        let first = watch.state.withLock { state in
            let first = state.partitions[partition, default: .init()].read
            state.partitions[partition, default: .init()].read += count
            state.read += count
            return first
        }
        last = partition
        batch.source = name
        batch.file = partition
        batch.line = UInt64(first + 1)
        batch.position = UInt64(first)
        for number in first..<(first + count) {
            let line = "{\"partition\":\"\(partition)\",\"n\":\(number)}\n"
            batch.bytes.append(contentsOf: line.utf8)
        }
    }

    /// Tells how many records of each partition are done.
    public func takePositions(
        before next: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        let read = watch.state.withLock { $0.partitions.mapValues(\.read) }
        for (partition, count) in read.sorted(by: { $0.key < $1.key }) {
            let isOpen = partition == last
            let done = isOpen ? next.map { Int($0.line) - 1 } ?? count : count
            guard told[partition] != done else { continue }
            told[partition] = done
            body(partition, Array("\(done)".utf8))
        }
    }

    /// Notes what is committed.
    public func kept(_ positions: [SourcePosition]) {
        watch.state.withLock { state in
            for place in positions {
                let count = Int(String(decoding: place.position, as: UTF8.self)) ?? -1
                let before = state.partitions[place.name]?.kept ?? 0
                if count < before {
                    state.violations.append("\(place.name) goes back from \(before) to \(count)")
                }
                state.partitions[place.name, default: .init()].kept = count
            }
        }
    }

    /// Checks that everything that was read of the partitions is committed.
    public func released(_ partitions: [String]) {
        let wanted = revoked
        revoked = []
        watch.state.withLock { state in
            state.events.append("released \(partitions.joined(separator: " "))")
            if partitions != wanted {
                state.violations.append("\(partitions) are released, \(wanted) were revoked")
            }
            for name in partitions {
                let partition = state.partitions[name] ?? .init()
                if partition.kept != partition.read {
                    state.violations.append(
                        "\(name) is released with \(partition.kept) of \(partition.read) records "
                            + "committed")
                }
            }
        }
    }
}
