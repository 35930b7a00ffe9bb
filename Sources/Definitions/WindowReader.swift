internal import Connecting
internal import Windowing

/// `window:` of an aggregate stage.
extension DefinitionReader {
    private static let windowKinds = SectionSpecification.window.alternatives

    mutating func readWindow(_ setting: Setting) -> WindowKind? {
        if case .scalar("global", _) = setting.content { return .global }
        guard case .mapping(let entries) = setting.content else {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\"window\" must be a mapping, such as {tumbling: 60s}, or global"))
            return nil
        }
        let kinds = Self.windowKinds
        let present = entries.filter { kinds.contains($0.key) }
        guard let kind = present.first, present.count == 1 else {
            reportKind(setting, entries, present)
            return nil
        }
        var reader = SettingReader(setting, .window)
        let value = kind.value
        for key in SectionSpecification.window.keys { _ = reader.setting(key.name) }
        let window: WindowKind?
        switch kind.key {
        case "tumbling": window = readTumbling(&reader)
        case "hopping": window = readHopping(value)
        case "session": window = readSession(value)
        case "count": window = readCount(value)
        case "rolling": window = readRolling(value)
        default:
            findings += SettingReader(value, .global).finish()
            window = .global
        }
        findings += reader.finish()
        return window
    }

    private mutating func reportKind(
        _ setting: Setting, _ entries: [Setting.Entry], _ present: [Setting.Entry]
    ) {
        let kinds = Self.windowKinds
        let list = kinds.joined(separator: ", ")
        if present.count > 1 {
            findings.append(
                Diagnostic(at: present[1].location, "a window has one kind: one of \(list)"))
            return
        }
        let known = SectionSpecification.window.keys.map(\.name)
        let unknown = entries.first { !known.contains($0.key) }
        guard let unknown else {
            findings.append(
                Diagnostic(at: setting.location, "the window has no kind: one of \(list)"))
            return
        }
        let hint = suggestion(for: unknown.key, among: kinds)
        findings.append(
            Diagnostic(
                at: unknown.location,
                "unknown window \"\(unknown.key)\""
                    + (hint.isEmpty ? "; there are \(list)" : hint)))
    }

    private mutating func readTumbling(_ reader: inout SettingReader) -> WindowKind? {
        let offset = reader.milliseconds("offset")
        let civil = reader.setting("tumbling").flatMap(Self.civilPeriod)
        if reader.isPresent("timezone") {
            let zone = reader.string("timezone").flatMap {
                timeZone($0, at: reader.location(of: "timezone"))
            }
            guard let civil else {
                if reader.milliseconds("tumbling") != nil {
                    reader.report(
                        "timezone",
                        "a time zone is for windows of days, weeks or months, such as 1 day")
                }
                return nil
            }
            return calendar(civil, zone, &reader)
        }
        if let civil, civil.unit != .day { return calendar(civil, .utc, &reader) }
        let size = reader.milliseconds("tumbling")
        checkOffset(offset, below: size, "the window's size", &reader)
        return size.map { .tumbling(size: $0, offset: offset ?? 0) }
    }

    private mutating func calendar(
        _ civil: (count: Int, unit: CalendarPeriod.Unit), _ zone: TimeZoneRules?,
        _ reader: inout SettingReader
    ) -> WindowKind? {
        let limits: [CalendarPeriod.Unit: Int] = [.day: 36_500, .week: 5_200, .month: 1_200]
        if civil.count < 1 || civil.count > limits[civil.unit] ?? 0 {
            reader.report(
                "tumbling", "\"tumbling\" must be from 1 day to 100 years, such as 1 day or 1 month"
            )
            return nil
        }
        if reader.isPresent("offset") {
            reader.reportKey("offset", "calendar windows begin at midnight; they have no offset")
        }
        return zone.map { .calendar(CalendarPeriod(civil.unit, count: civil.count, zone: $0)) }
    }

    /// `1 day`, `2 weeks`, `1 month`; nil for other durations.
    private static func civilPeriod(
        _ setting: Setting
    ) -> (count: Int, unit: CalendarPeriod.Unit)? {
        guard case .scalar(let text, _) = setting.content else { return nil }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int(digits) else { return nil }
        let units: [String: CalendarPeriod.Unit] = [
            "d": .day, "day": .day, "days": .day, "w": .week, "week": .week, "weeks": .week,
            "month": .month, "months": .month,
        ]
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        return units[String(unit)].map { (count, $0) }
    }

    /// A larger offset would mean a smaller one, and more probably something else was meant.
    private func checkOffset(
        _ offset: Int64?, below limit: Int64?, _ what: String, _ reader: inout SettingReader
    ) {
        guard let offset, let limit, offset.magnitude >= limit else { return }
        reader.report("offset", "\"offset\" must be less than \(what)")
    }

    private mutating func readHopping(_ setting: Setting) -> WindowKind? {
        var reader = SettingReader(setting, .hopping)
        let offset = reader.milliseconds("offset") ?? 0
        let size = reader.milliseconds("size")
        let every = reader.milliseconds("every")
        checkOffset(offset, below: every, "\"every\"", &reader)
        if let size, let every {
            if every > size {
                reader.report(
                    "every", "\"every\" must not be larger than size: records would be left out")
            } else if size / every > 10_000 {
                reader.report(
                    "every",
                    "\"every\" puts each record into \(size / every) windows; the limit "
                        + "is 10000")
            }
        }
        findings += reader.finish()
        guard let size, let every else { return nil }
        return .hopping(size: size, every: every, offset: offset)
    }

    private mutating func readSession(_ setting: Setting) -> WindowKind? {
        var reader = SettingReader(setting, .session)
        let gap = reader.milliseconds("gap")
        findings += reader.finish()
        return gap.map { .session(gap: $0) }
    }

    private mutating func readCount(_ setting: Setting) -> WindowKind? {
        var reader = SettingReader(setting, .count)
        let size = reader.integer("size")
        findings += reader.finish()
        return size.map { .count(size: $0) }
    }

    private mutating func readRolling(_ setting: Setting) -> WindowKind? {
        var reader = SettingReader(setting, .rolling)
        let range = reader.milliseconds("range")
        let rows = reader.integer("rows")
        if reader.isPresent("range") == reader.isPresent("rows"), reader.finish().isEmpty {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "a rolling window has either a range, such as {range: 5m}, or {rows: 10}"))
        }
        findings += reader.finish()
        return range.map { .rolling(range: $0) } ?? rows.map { .rollingRows($0) }
    }
}
