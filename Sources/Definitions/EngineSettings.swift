internal import Connecting

/// How often one output may arrive.
public enum Delivery: String, Sendable, Hashable, CaseIterable {
    /// Once, also over kills and restarts.
    case exactlyOnce = "exactly_once"
    /// Once, or again after a restart.
    case atLeastOnce = "at_least_once"
    /// Once, or not at all after a kill.
    case atMostOnce = "at_most_once"
}

/// When a commit of a pipeline counts as kept.
public enum PipelineDurability: Sendable, Hashable {
    /// Synced: it survives a power cut. Only this is called durable.
    case disk
    /// Written at once and synced within so many milliseconds, which a power cut may take.
    case within(milliseconds: Int)
    /// Written at once, synced when the system likes: it survives the process only.
    case osCache
    /// Never written: every run begins anew.
    case memory

    /// The words for levels that need no number.
    static let words = ["disk", "os-cache", "memory"]

    /// The level of a word.
    init?(word: String) {
        switch word {
        case "disk": self = .disk
        case "os-cache": self = .osCache
        case "memory": self = .memory
        default: return nil
        }
    }
}

/// What becomes of windows at the end of the input.
public enum EndOfInput: String, Sendable, Hashable, CaseIterable {
    /// They close.
    case close
    /// They stay open for the next run.
    case keep
}

/// How rules are replaced while the stream runs.
public struct ReloadDefinition: Sendable, Hashable {
    /// The files are watched.
    public var watch = false
    /// The last records that a new version is tried on.
    public var shadow = 1000
    /// The share of them that may come out differently, 0 to 1.
    public var maxDifference = 1.0
    /// The share of them that may fail with the new rules and not with the old ones, 0 to 1.
    public var maxNewErrors = 0.01
    /// How long tests and trial may take together, in nanoseconds.
    public var timeoutNanoseconds: Int64 = 10_000_000_000
    /// The records after which a new version has proved itself.
    public var probationRecords = 1000
    /// The share of them that may fail, 0 to 1.
    public var probationErrorRate = 0.05

    /// The usual settings.
    package init() {}
}

/// Settings of the engine that are checked in full, and kept for the parts that come to use them.
extension DefinitionReader {
    mutating func readEngineSettings(_ root: inout SettingReader) {
        if let word = root.choice("delivery") {
            definition.delivery = Delivery(rawValue: word) ?? .exactlyOnce
        }
        if let word = root.choice("end_of_input") {
            definition.endOfInput = EndOfInput(rawValue: word) ?? .close
        }
        if let setting = root.setting("durability") { readDurability(setting) }
        checkOutboxes()
        if let setting = root.setting("checkpoint") {
            var reader = SettingReader(setting, .checkpoint)
            definition.checkpointNanoseconds =
                reader.nanoseconds("every") ?? definition.checkpointNanoseconds
            findings += reader.finish()
        }
        if let setting = root.setting("time") { readTime(setting) }
        if let setting = root.setting("reload") { readReload(setting) }
    }

    /// `disk`, `os-cache`, `memory` or `{disk-within: 100ms}`.
    private mutating func readDurability(_ setting: Setting) {
        if case .mapping = setting.content {
            var reader = SettingReader(setting, .durability)
            if let milliseconds = reader.milliseconds("disk-within") {
                definition.durability = .within(milliseconds: Int(milliseconds))
            }
            findings += reader.finish()
            return
        }
        guard case .scalar(let text, _) = setting.content,
            let level = PipelineDurability(word: text)
        else {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\"durability\" must be disk, {disk-within: 100ms}, os-cache or memory"))
            return
        }
        definition.durability = level
    }

    /// Rows that wait for a commit need a store that it goes into.
    private mutating func checkOutboxes() {
        guard definition.durability == .memory else { return }
        for location in definition.sinks.compactMap(\.outbox) {
            findings.append(
                Diagnostic(
                    at: location,
                    "an outbox needs a store, and \"durability: memory\" keeps none; choose disk, "
                        + "{disk-within: 100ms} or os-cache"))
        }
    }

    private mutating func readReload(_ setting: Setting) {
        var reader = SettingReader(setting, .reload)
        var reload = ReloadDefinition()
        reload.watch = reader.bool("watch") ?? reload.watch
        reload.shadow = reader.integer("shadow") ?? reload.shadow
        reload.maxDifference = reader.share("max_difference") ?? reload.maxDifference
        reload.maxNewErrors = reader.share("max_new_errors") ?? reload.maxNewErrors
        reload.timeoutNanoseconds = reader.nanoseconds("timeout") ?? reload.timeoutNanoseconds
        if let probation = reader.setting("probation") {
            var inner = SettingReader(probation, .probation)
            reload.probationRecords =
                inner.integer("records") ?? reload.probationRecords
            reload.probationErrorRate = inner.share("error_rate") ?? reload.probationErrorRate
            findings += inner.finish()
        }
        definition.reload = reload
        findings += reader.finish()
    }
}
