public import Definitions
internal import Journal
public import Queueing
public import Records

/// A record that failed, as the store keeps it.
public struct DeadLetter: Sendable {
    /// Its number in the store.
    let number: UInt64
    /// What `dead_letters` sinks get: `id`, `stage`, `reason`, `original` and more.
    public let record: Record

    /// The record of a letter, and its number in the queue.
    package init(number: UInt64, record: Record) {
        self.number = number
        self.record = record
    }

    /// The record's id, the same in every run.
    public var id: String { text("id") ?? "" }

    /// A field that is a text.
    package func text(_ name: String) -> String? {
        if case .string(let text)? = record[name] { text } else { nil }
    }

    /// A field that is a number; 0 without one.
    package func integer(_ name: String) -> UInt64 {
        if case .integer(let number)? = record[name] { UInt64(max(number, 0)) } else { 0 }
    }

    /// The source's own bytes.
    var original: [UInt8] {
        if let text = text("original") { return Array(text.utf8) }
        return text("original_base64").flatMap(decodeBase64) ?? []
    }

    /// The record as JSON: the source's own bytes, unless a connector has made it from others.
    package var json: [UInt8] {
        if case .object(let fields)? = record["record"] { return Value.object(fields).json }
        return original
    }
}

/// The bytes of a base64 text (RFC 4648, section 4); nil when it is none.
public func decodeBase64(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var word: UInt32 = 0
    var bits = 0
    for character in text.utf8 {
        let value: UInt32
        switch character {
        case 0x41...0x5A: value = UInt32(character) - 0x41
        case 0x61...0x7A: value = UInt32(character) - 0x61 + 26
        case 0x30...0x39: value = UInt32(character) - 0x30 + 52
        case 0x2B: value = 62
        case 0x2F: value = 63
        case 0x3D: continue
        default: return nil
        }
        word = word << 6 | value
        bits += 6
        if bits >= 8 {
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
        }
    }
    return bytes
}

/// The dead letters of a store. Any thread.
public struct DeadLetters: Sendable {
    /// The queue that holds them; its name is none that a pipeline can give.
    public static let queueName = PipelineStore.letters
    /// How that queue is kept.
    public static var settings: QueueSettings {
        var letters = QueueSettings(queueName)
        letters.maxSize = .max
        letters.maxAttempts = nil
        letters.keepsDeadLetters = false
        letters.maxMessageSize = 1 << 28
        letters.durability = .osCache
        return letters
    }

    private let store: Store<SystemDisk>
    private let queue: QueueHandle

    /// The letters in a store.
    package init(_ store: PipelineStore) {
        self.store = store.queues
        queue = store.letterHandle
    }

    /// All of them, in the order in which they came.
    public func list() throws(PipelineError) -> [DeadLetter] {
        try wrap { () throws(QueueError) in
            try store.peek(queue, max: .max).compactMap { message in
                guard let record = try? Record(json: message.payload) else { return nil }
                return DeadLetter(number: message.number, record: record)
            }
        }
    }

    /// Those with the given ids, or all of them without any. Throws when there is none of an id.
    public func find(_ ids: [String]) throws(PipelineError) -> [DeadLetter] {
        let letters = try list()
        guard !ids.isEmpty else { return letters }
        let known = Set(letters.map(\.id))
        if let missing = ids.first(where: { !known.contains($0) }) {
            throw PipelineError(
                exitCode: 1,
                "there is no dead letter \"\(missing)\"; `tidewheel dlq ls` lists them")
        }
        let wanted = Set(ids)
        return letters.filter { wanted.contains($0.id) }
    }

    /// Throws all of them away for good; returns how many there were.
    public func purge() throws(PipelineError) -> Int {
        let numbers = try list().map(\.number)
        return try wrap { () throws(QueueError) in
            let (count, sequence) = try store.commit(.disk) { transaction in
                let count = transaction.discard(numbers, from: queue)
                let act: Record = ["act": .string("dlq purge"), "letters": .integer(Int64(count))]
                transaction.note(act.json, in: .audit)
                return count
            }
            try store.waitUntilDurable(sequence)
            return count
        }
    }

    private func wrap<Result>(
        _ body: () throws(QueueError) -> Result
    ) throws(PipelineError) -> Result {
        do throws(QueueError) { return try body() } catch {
            throw PipelineError(exitCode: 1, "error: \(error)")
        }
    }
}
