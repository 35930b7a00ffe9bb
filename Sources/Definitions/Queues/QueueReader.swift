public import Connecting
public import Queueing

/// A queue of `pipeline.yaml`, checked.
public struct QueueDefinition: Sendable {
    /// What the store is told.
    public var settings: QueueSettings
    /// The file whose function `retry` says how long a failed message waits.
    public var retryScript: FileReference?
    /// Where it stands.
    public var location: Location
}

/// A script that works on the messages of a queue.
public struct HandlerDefinition: Sendable {
    /// How many messages are worked on at once when nothing is said.
    static let usualConcurrency = 1
    /// How long one message may take when nothing is said, in nanoseconds.
    static let usualTimeoutNanoseconds: Int64 = 30_000_000_000

    /// The queue's name.
    public var queue: String
    /// The Lua file, relative to the folder.
    public var script: String
    /// How many messages are worked on at once.
    public var concurrency: Int
    /// How long one message may take, in nanoseconds.
    public var timeoutNanoseconds: Int64
    /// Where it stands.
    public var location: Location
}

extension ConnectorError {
    /// A queue as source or sink where nothing is kept.
    package static let queueNeedsStore = ConnectorError(
        "error: a queue needs a store; leave out `--fresh` and `durability: memory`")
}

/// Reads `queues`, `store` and `handlers`.
extension DefinitionReader {
    mutating func readQueues(_ root: inout SettingReader) {
        if let setting = root.setting("queues") { readQueues(setting) }
        if let setting = root.setting("exchanges") { readExchanges(setting) }
        if let setting = root.setting("schedules") { readSchedules(setting) }
        if let setting = root.setting("store") { readStore(setting) }
        if let setting = root.setting("handlers") { readHandlers(setting) }
    }

    private mutating func readQueues(_ setting: Setting) {
        if case .null = setting.content { return }
        guard case .mapping(let entries) = setting.content else {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\"queues\" must map names to settings, such as {jobs: {max_size: 5000}}"))
            return
        }
        for entry in entries {
            if !isName(entry.key, others: [0x2D, 0x2E]) {
                let rule = "a name has letters, digits, _, - and ., and begins with a letter or _"
                findings.append(Diagnostic(at: entry.location, "\"\(entry.key)\": \(rule)"))
            }
            var reader = SettingReader(entry.value, .queue, what: "queues.\(entry.key)")
            var queue = QueueDefinition(
                settings: QueueSettingReader.read(entry.key, &reader), location: entry.location)
            let retry = RetryReader.read(&reader)
            queue.settings.retry = retry.policy
            queue.retryScript = retry.script
            if let file = retry.script { checkFile(file.path, at: file.location) }
            findings += reader.finish()
            definition.queues.append(queue)
        }
    }

    private mutating func readStore(_ setting: Setting) {
        var reader = SettingReader(setting, .store)
        definition.segmentBytes = reader.bytes("segment") ?? definition.segmentBytes
        if let catalogue = reader.setting("catalogue") {
            if case .scalar("off", _) = catalogue.content {
                definition.catalogueNanoseconds = nil
            } else if case .scalar(let text, _) = catalogue.content,
                let period = parseDuration(text), period >= 1_000_000
            {
                definition.catalogueNanoseconds = period
            } else {
                reader.report(
                    "catalogue", "\"catalogue\" must be off, or a duration such as 5s or 1m")
            }
        }
        findings += reader.finish()
    }

    private mutating func readHandlers(_ setting: Setting) {
        guard case .sequence(let items) = setting.content else {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\"handlers\" must be a list, such as [{queue: jobs, script: rules/job.lua}]"))
            return
        }
        for item in items {
            var reader = SettingReader(item, .handler)
            let queue = reader.string("queue")
            let script = reader.string("script")
            let concurrency = reader.integer("concurrency")
            let timeout = reader.nanoseconds("timeout")
            if let queue, !definition.queues.contains(where: { $0.settings.name == queue }) {
                let names = definition.queues.map(\.settings.name)
                let hint = suggestion(for: queue, among: names)
                reader.report("queue", "there is no queue \"\(queue)\" under queues\(hint)")
            }
            if let script { checkFile(script, at: reader.location(of: "script")) }
            if let queue, let script {
                definition.handlers.append(
                    HandlerDefinition(
                        queue: queue, script: script,
                        concurrency: concurrency ?? HandlerDefinition.usualConcurrency,
                        timeoutNanoseconds: timeout ?? HandlerDefinition.usualTimeoutNanoseconds,
                        location: item.location))
            }
            findings += reader.finish()
        }
    }
}

/// Reads what one queue is told.
private enum QueueSettingReader {
    static func read(_ name: String, _ reader: inout SettingReader) -> QueueSettings {
        var settings = QueueSettings(name)
        settings.maxSize = reader.integer("max_size") ?? settings.maxSize
        let overflow = reader.choice("overflow")
        settings.overflow = overflow.flatMap(Overflow.init) ?? settings.overflow
        settings.messageTTL = reader.milliseconds("message_ttl")
        settings.maxAttempts = reader.integer("max_attempts") ?? settings.maxAttempts
        settings.maxDeaths = reader.integer("max_deaths") ?? settings.maxDeaths
        settings.lease = reader.milliseconds("lease") ?? settings.lease
        if let longest = reader.milliseconds("max_lease") {
            settings.maxLease = longest
        } else {
            settings.maxLease = max(settings.maxLease, settings.lease)
        }
        if settings.lease > settings.maxLease {
            reader.report("lease", "\"lease\" is longer than max_lease")
        }
        settings.deadLetterQueue = reader.string("dead_letter_queue")
        if settings.deadLetterQueue == name {
            reader.report("dead_letter_queue", "a queue cannot hold its own dead letters")
        } else if settings.deadLetterQueue?.utf8.first == 0x2E {
            reader.report(
                "dead_letter_queue", "queues whose names begin with a dot are the engine's")
        }
        if let word = reader.choice("dead_letters") {
            settings.keepsDeadLetters = word == "keep"
        }
        settings.deduplicate = reader.milliseconds("deduplicate")
        let policy = reader.choice("on_duplicate")
        settings.onDuplicate = policy.flatMap(DuplicatePolicy.init) ?? settings.onDuplicate
        settings.blocksKeyOfDead = reader.choice("on_dead_key") == "block"
        let delivery = reader.choice("delivery")
        settings.delivery = delivery.flatMap(QueueDelivery.init) ?? settings.delivery
        settings.maxMessageSize = reader.bytes("max_message_size") ?? settings.maxMessageSize
        settings.durability = durability(&reader)
        return settings
    }

    private static func durability(_ reader: inout SettingReader) -> QueueDurability {
        if let setting = reader.setting("durability"),
            case .mapping(let entries) = setting.content,
            entries.count == 1, entries[0].key == "disk-within"
        {
            var inner = SettingReader(setting, .durability)
            let within = inner.milliseconds("disk-within")
            for finding in inner.finish() { reader.report("durability", finding.message) }
            return .within(milliseconds: Int(within ?? 100))
        }
        switch reader.choice("durability") {
        case "os-cache": return .osCache
        case "memory": return .memory
        default: return .disk
        }
    }
}
