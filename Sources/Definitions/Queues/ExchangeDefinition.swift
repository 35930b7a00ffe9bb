public import Connecting
public import Queueing
internal import Records
internal import Scripting

/// A name of `pipeline.yaml` that messages are published to, and the routes from there.
public struct ExchangeDefinition: Sendable {
    /// Which messages a route takes.
    public enum Condition: Sendable {
        /// Every one.
        case everything
        /// Those whose topic fits.
        case topic(String)
        /// Those whose headers are so: all of them, or one.
        case headers([Router.HeaderRule], isAny: Bool)
        /// Those that the function `match` of a file is true for.
        case script(FileReference)
    }

    /// One way to queues.
    public struct Route: Sendable {
        /// Which messages take it.
        public var condition: Condition
        /// Where it leads.
        public var queues: [String]
    }

    /// Its name.
    public var name: String
    /// The field of a payload that holds its topic, when the publisher gives none.
    public var topicField: String?
    /// The routes, in the order written.
    public var routes: [Route] = []
    /// Where messages go that no route takes.
    public var alternate: String?
    /// Where it stands.
    public var location: Location

    /// True when there is a queue for every message.
    var takesEverything: Bool {
        alternate != nil
            || routes.contains { route in
                if case .everything = route.condition { true } else { false }
            }
    }
}

extension Definition {
    /// True when queues ask functions in Lua.
    public var hasQueueScripts: Bool { !queueFunctions.isEmpty }

    /// The functions that queues ask.
    package var queueFunctions: [QueueFunction] {
        var names: [QueueFunction] = []
        func add(_ file: String, _ function: ScriptFunction) {
            let name = QueueFunction(file: file, text: nil, function: function)
            if !names.contains(name) { names.append(name) }
        }
        for queue in queues { if let script = queue.retryScript { add(script.path, .retry) } }
        for route in exchanges.flatMap(\.routes) {
            if case .script(let file) = route.condition { add(file.path, .match) }
        }
        return names
    }

    /// The files of those functions, and where they are named.
    var queueScriptFiles: [FileReference] {
        queues.compactMap(\.retryScript)
            + exchanges.flatMap(\.routes).compactMap { route in
                if case .script(let file) = route.condition { file } else { nil }
            }
    }
}

/// Reads `exchanges`.
extension DefinitionReader {
    mutating func readExchanges(_ setting: Setting) {
        if case .null = setting.content { return }
        guard case .mapping(let entries) = setting.content else {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\"exchanges\" must map names to routes, such as {videos: {routes: [{topic: "
                        + "\"video.#\", queue: jobs}]}}"))
            return
        }
        for entry in entries {
            if !isName(entry.key, others: [0x2D, 0x2E]) {
                let rule = "a name has letters, digits, _, - and ., and begins with a letter or _"
                findings.append(Diagnostic(at: entry.location, "\"\(entry.key)\": \(rule)"))
            }
            if knownQueues.contains(entry.key) {
                findings.append(
                    Diagnostic(at: entry.location, "there is already a queue \"\(entry.key)\""))
            }
            readExchange(entry)
        }
    }

    private mutating func readExchange(_ entry: Setting.Entry) {
        var reader = SettingReader(entry.value, .exchange, what: "exchanges.\(entry.key)")
        var exchange = ExchangeDefinition(name: entry.key, location: entry.location)
        exchange.topicField = reader.string("topic_field")
        if let name = reader.string("alternate") {
            checkQueue(name, at: reader.location(of: "alternate"))
            exchange.alternate = name
        }
        if let routes = reader.setting("routes") {
            if case .sequence(let items) = routes.content, !items.isEmpty {
                exchange.routes = items.compactMap { readRoute($0) }
            } else {
                reader.report(
                    "routes",
                    "\"routes\" must be a list, such as [{topic: \"video.#\", queue: jobs}]")
            }
        }
        findings += reader.finish()
        definition.exchanges.append(exchange)
    }

    private mutating func readRoute(_ setting: Setting) -> ExchangeDefinition.Route? {
        var reader = SettingReader(setting, .route)
        let queues = reader.strings("queue") ?? []
        for name in queues { checkQueue(name, at: reader.location(of: "queue")) }
        var condition = ExchangeDefinition.Condition.everything
        if let topic = reader.string("topic") { condition = .topic(topic) }
        let word = reader.choice("match")
        if let headers = reader.setting("headers") {
            condition = .headers(readHeaders(headers), isAny: word == "any")
        }
        if let path = reader.string("rule") {
            checkFile(path, at: reader.location(of: "rule"))
            condition = .script(FileReference(path: path, location: reader.location(of: "rule")))
        }
        findings += reader.finish()
        return queues.isEmpty ? nil : ExchangeDefinition.Route(condition: condition, queues: queues)
    }

    /// `{tier: premium, region: {exists: true}, size: {min: 10, max: 100}}`.
    private mutating func readHeaders(_ setting: Setting) -> [Router.HeaderRule] {
        guard case .mapping(let entries) = setting.content, !entries.isEmpty else {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\"headers\" must map names to values, such as {tier: premium}, to "
                        + "{exists: true}, or to {min: 1, max: 9}"))
            return []
        }
        return entries.compactMap { entry in
            if case .scalar(let text, _) = entry.value.content { return .equals(entry.key, text) }
            var reader = SettingReader(entry.value, .headerRule, what: "headers.\(entry.key)")
            defer { findings += reader.finish() }
            let exists = reader.bool("exists") ?? false
            let low = reader.number("min") ?? -.infinity
            let high = reader.number("max") ?? .infinity
            if exists { return .exists(entry.key) }
            guard low <= high else {
                reader.report("min", "\"min\" is above max")
                return nil
            }
            return .range(entry.key, low...high)
        }
    }

    /// Queues that are declared, or that hold the dead of those.
    var knownQueues: [String] {
        let declared = definition.queues.map(\.settings)
        return declared.map(\.name) + declared.compactMap(\.deadLetterTarget)
    }

    /// Reports a queue that there is not.
    mutating func checkQueue(_ name: String, at location: Location) {
        guard !knownQueues.contains(name) else { return }
        let hint = suggestion(for: name, among: knownQueues)
        findings.append(
            Diagnostic(at: location, "there is no queue \"\(name)\" under queues\(hint)"))
    }

    /// Reports queues and exchanges that sources and sinks name, and that there are not.
    mutating func checkNamedQueues() {
        for named in namedQueues where !knownQueues.contains(named.name) {
            guard let exchange = definition.exchanges.first(where: { $0.name == named.name })
            else {
                let names = knownQueues + (named.isSink ? definition.exchanges.map(\.name) : [])
                let hint = suggestion(for: named.name, among: names)
                findings.append(
                    Diagnostic(
                        at: named.location,
                        "there is no queue \"\(named.name)\" under queues\(hint)"))
                continue
            }
            if !named.isSink {
                findings.append(
                    Diagnostic(
                        at: named.location,
                        "\"\(named.name)\" is an exchange; a source reads from a queue"))
            } else if !exchange.takesEverything {
                findings.append(
                    Diagnostic(
                        at: named.location,
                        "a row that no route of \"\(named.name)\" takes would stop the pipeline; "
                            + "give the exchange an alternate, or a route without condition"))
            }
        }
    }
}
