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
            var reader = SettingReader(entry.value, what: "queues.\(entry.key)")
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
        var reader = SettingReader(setting, what: "store")
        if let size = reader.bytes("segment") {
            if size < 1 << 20 || size > 1 << 30 {
                reader.report("segment", "\"segment\" must be from 1MiB to 1GiB")
            } else {
                definition.segmentBytes = size
            }
        }
        if let catalogue = reader.setting("catalogue") {
            if case .scalar("off", quoted: false) = catalogue.content {
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
            var reader = SettingReader(item, what: "handler")
            reader.require("queue")
            reader.require("script")
            let queue = reader.string("queue")
            let script = reader.string("script")
            let concurrency = reader.integer("concurrency", in: 1...1024) ?? 1
            let timeout = reader.nanoseconds("timeout") ?? 30_000_000_000
            if let queue, !definition.queues.contains(where: { $0.settings.name == queue }) {
                let names = definition.queues.map(\.settings.name)
                let hint = suggestion(for: queue, among: names)
                reader.report("queue", "there is no queue \"\(queue)\" under queues\(hint)")
            }
            if let script { checkFile(script, at: reader.location(of: "script")) }
            if let queue, let script {
                definition.handlers.append(
                    HandlerDefinition(
                        queue: queue, script: script, concurrency: concurrency,
                        timeoutNanoseconds: timeout, location: item.location))
            }
            findings += reader.finish()
        }
    }
}

/// Reads what one queue is told.
private enum QueueSettingReader {
    static func read(_ name: String, _ reader: inout SettingReader) -> QueueSettings {
        var settings = QueueSettings(name)
        settings.maxSize = reader.integer("max_size", in: 1...Int.max) ?? settings.maxSize
        let overflow = reader.choice("overflow", of: Overflow.allCases.map(\.rawValue))
        settings.overflow = overflow.flatMap(Overflow.init) ?? settings.overflow
        settings.messageTTL = reader.milliseconds("message_ttl")
        settings.maxAttempts =
            reader.integer("max_attempts", in: 1...65_000) ?? settings.maxAttempts
        settings.maxDeaths = reader.integer("max_deaths", in: 1...100) ?? settings.maxDeaths
        settings.lease = reader.milliseconds("lease") ?? settings.lease
        if let longest = reader.milliseconds("max_lease") {
            settings.maxLease = longest
        } else {
            settings.maxLease = max(settings.maxLease, settings.lease)
        }
        // A lease's start is kept in 32 bits of milliseconds.
        if settings.maxLease > 40 * 86_400_000 {
            reader.report("max_lease", "\"max_lease\" can be 40d at most")
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
        if let word = reader.choice("dead_letters", of: ["keep", "drop"]) {
            settings.keepsDeadLetters = word == "keep"
        }
        settings.deduplicate = reader.milliseconds("deduplicate")
        let words = DuplicatePolicy.allCases.map(\.rawValue)
        if let word = reader.choice("on_duplicate", of: words) {
            settings.onDuplicate = DuplicatePolicy(rawValue: word) ?? .ignore
            if settings.deduplicate == nil {
                reader.reportKey("on_duplicate", "\"on_duplicate\" goes with deduplicate")
            }
        }
        settings.blocksKeyOfDead =
            reader.choice("on_dead_key", of: ["skip", "block"]) == "block"
        let delivery = reader.choice("delivery", of: QueueDelivery.allCases.map(\.rawValue))
        settings.delivery = delivery.flatMap(QueueDelivery.init) ?? settings.delivery
        if let size = reader.bytes("max_message_size") {
            settings.maxMessageSize = size
            if size > 512 << 20 {
                reader.report("max_message_size", "\"max_message_size\" can be 512MiB at most")
            }
        }
        settings.durability = durability(&reader)
        return settings
    }

    private static func durability(_ reader: inout SettingReader) -> QueueDurability {
        let words = ["disk", "os-cache", "memory"]
        if let setting = reader.setting("durability"),
            case .mapping(let entries) = setting.content,
            entries.count == 1, entries[0].key == "disk-within"
        {
            var inner = SettingReader(setting, what: "durability")
            let within = inner.milliseconds("disk-within")
            for finding in inner.finish() { reader.report("durability", finding.message) }
            return .within(milliseconds: Int(within ?? 100))
        }
        switch reader.choice("durability", of: words) {
        case "os-cache": return .osCache
        case "memory": return .memory
        default: return .disk
        }
    }
}
