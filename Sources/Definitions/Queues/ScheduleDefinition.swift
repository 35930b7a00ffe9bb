public import Connecting
public import Queueing
internal import Records
internal import Windowing

/// A message of `pipeline.yaml` that is published again and again.
public struct ScheduleDefinition: Sendable {
    /// The priority when nothing is said.
    static let usualPriority = 4

    /// When, and what.
    public var job: CronJob
    /// The queue or exchange it is published to.
    public var target: String
    /// The topic it is published under.
    public var topic: String?
    /// Where it stands.
    public var location: Location
}

/// Reads `schedules`.
extension DefinitionReader {
    mutating func readSchedules(_ setting: Setting) {
        if case .null = setting.content { return }
        guard case .mapping(let entries) = setting.content else {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\"schedules\" must map names to schedules, such as {nightly: {cron: "
                        + "\"0 3 * * *\", queue: jobs, payload: {kind: cleanup}}}"))
            return
        }
        for entry in entries {
            if !isName(entry.key) {
                let rule = "a name has letters, digits, _ and -, and begins with a letter or _"
                findings.append(Diagnostic(at: entry.location, "\"\(entry.key)\": \(rule)"))
            }
            var reader = SettingReader(entry.value, .schedule, what: "schedules.\(entry.key)")
            readSchedule(entry, &reader)
            findings += reader.finish()
        }
    }

    private mutating func readSchedule(_ entry: Setting.Entry, _ reader: inout SettingReader) {
        var schedule: CronSchedule?
        if let text = reader.string("cron") {
            schedule = CronSchedule(text)
            if schedule == nil {
                reader.report(
                    "cron",
                    "\"\(text)\" is no schedule; it has five fields, minute hour day month "
                        + "weekday, such as \"*/15 * * * *\", or six with seconds in front")
            } else if let schedule, schedule.next(after: .init(year: 2024, month: 1, day: 1)) == nil
            {
                reader.report("cron", "\"\(text)\" never happens")
            }
        }
        var zone = CronJob.Zone.utc
        if let name = reader.string("zone") {
            if let rules = timeZone(name, at: reader.location(of: "zone")) { zone = .init(rules) }
        }
        let target = reader.string("queue")
        if let target { namedTargets.append((target, reader.location(of: "queue"))) }
        let missed = reader.choice("missed")
        var message = NewMessage((reader.setting("payload")?.value ?? .object([])).json)
        message.priority = UInt8(reader.integer("priority") ?? ScheduleDefinition.usualPriority)
        message.orderingKey = reader.string("key")
        message.ttl = reader.milliseconds("ttl")
        if let headers = reader.setting("headers") {
            if case .mapping(let entries) = headers.content {
                message.headers = entries.map { Header($0.key, $0.value.value.text) }
            } else {
                reader.report("headers", "\"headers\" must map names to texts")
            }
        }
        let topic = reader.string("topic")
        guard let schedule, let target else { return }
        definition.schedules.append(
            ScheduleDefinition(
                job: CronJob(
                    entry.key, schedule, missed: missed.flatMap(MissedTicks.init) ?? .once, message,
                    zone: zone),
                target: target, topic: topic, location: entry.location))
    }

    /// Reports queues and exchanges that schedules name, and that there are not.
    mutating func checkScheduleTargets() {
        let names = knownQueues + definition.exchanges.map(\.name)
        for target in namedTargets where !names.contains(target.name) {
            let hint = suggestion(for: target.name, among: names)
            findings.append(
                Diagnostic(
                    at: target.location,
                    "there is no queue or exchange \"\(target.name)\"\(hint)"))
        }
    }
}

extension CronJob.Zone {
    /// The clocks of a time zone.
    init(_ rules: TimeZoneRules) {
        let utc = CronJob.Zone.utc
        self.init(
            clock: { utc.clock($0 + rules.offset(atUTC: $0 * 1000) / 1000) },
            seconds: { rules.utc(fromLocal: utc.seconds($0) * 1000) / 1000 })
    }
}
