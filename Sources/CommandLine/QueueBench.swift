import Glibc
import Journal
import Queueing
import Records

/// `bench queue` and `bench journal`: a fresh store, filled and emptied in batches, each of them
/// durable before the next.
struct QueueBench {
    var folder: String
    var durability: Durability?
    var batch: Int
    var size: Int
    /// How many messages, or for how many seconds.
    var messages: Int?
    var seconds: Double
    private static let target = "bench"

    /// Publishes, then receives and acknowledges all of it; the line of JSON.
    func queue() throws(QueueError) -> Record {
        var settings = QueueSettings(Self.target)
        settings.maxSize = .max
        settings.maxMessageSize = max(settings.maxMessageSize, size)
        settings.durability =
            switch durability {
            case .disk: .disk
            case .within(let milliseconds): .within(milliseconds: milliseconds)
            case .osCache: .osCache
            case nil: .memory
            }
        var random = SystemRandomNumberGenerator()
        let store = try Store(
            opening: folder, on: SystemDisk(), queues: [settings], random: &random)
        let queue = try store.queue(Self.target)
        let start = clock()
        let count = try publish(store, queue, start)
        let middle = clock()
        var left = count
        while left > 0 {
            let messages = try store.receive(from: queue, max: batch)
            try store.acknowledge(messages.compactMap(\.receipt), in: queue)
            left -= messages.count
            if messages.isEmpty { throw QueueError(.other, "\(left) messages are missing") }
        }
        let end = clock()
        try store.close()
        return Record([
            Field("batch", .integer(Int64(batch))), Field("messages", .integer(Int64(count))),
            Field("enqueue_per_s", rate(count, middle - start)),
            Field("cycle_per_s", rate(count, end - start)),
            Field("durability", .string(settings.durability.name)),
        ])
    }

    /// Appends frames of one entry each batch; the line of JSON.
    func journal() throws(QueueError) -> Record {
        var random = SystemRandomNumberGenerator()
        let store = try Store(opening: folder, on: SystemDisk(), random: &random)
        let payload = [UInt8](repeating: 0x78, count: size)
        let start = clock()
        var count = 0
        while count < messages ?? .max, messages != nil || clock() - start < limit {
            let (_, sequence) = try store.commit(durability) { (transaction) throws(QueueError) in
                for _ in 0..<batch { transaction.add(kind: 64, payload) }
            }
            count += batch
            if durability == .disk { try store.waitUntilDurable(sequence) }
        }
        let end = clock()
        try store.close()
        return Record([
            Field("batch", .integer(Int64(batch))), Field("entries", .integer(Int64(count))),
            Field("entries_per_s", rate(count, end - start)),
            Field("bytes_per_s", rate(count * size, end - start)),
        ])
    }

    private var limit: Int64 { Int64(seconds * 1e9) }

    private func publish(
        _ store: Store<SystemDisk>, _ queue: QueueHandle, _ start: Int64
    ) throws(QueueError) -> Int {
        let message = NewMessage(payload())
        var count = 0
        while count < messages ?? .max, messages != nil || clock() - start < limit {
            let size = min(batch, (messages ?? .max) - count)
            let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
                for _ in 0..<size { try transaction.publish(message, to: queue) }
            }
            try store.wait(for: sequence, queue)
            count += size
        }
        return count
    }

    /// A JSON text of the size wanted.
    private func payload() -> [UInt8] {
        guard size >= 2 else { return Array("1".utf8) }
        return [0x22] + [UInt8](repeating: 0x78, count: size - 2) + [0x22]
    }

    private func rate(_ count: Int, _ nanoseconds: Int64) -> Value {
        .number((Double(count) / max(1e-9, Double(nanoseconds) / 1e9) * 10).rounded() / 10)
    }

    private func clock() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
