internal import Connecting
internal import Windowing

/// The section `time`.
extension DefinitionReader {
    private static let timeFormats: [String: TimeFormat] = [
        "rfc3339": .rfc3339, "epoch_s": .epochSeconds, "epoch_ms": .epochMilliseconds,
        "epoch_us": .epochMicroseconds, "epoch_ns": .epochNanoseconds,
    ]

    mutating func readTime(_ setting: Setting) {
        var reader = SettingReader(setting, .time)
        var time = TimeDefinition(field: reader.string("field") ?? "")
        if let text = reader.string("format") { time.format = timeFormat(text, &reader) }
        time.outOfOrdernessMilliseconds =
            reader.milliseconds("out_of_orderness") ?? time.outOfOrdernessMilliseconds
        time.idleMilliseconds = reader.milliseconds("idle_after")
        time.maxFutureSkewMilliseconds = reader.milliseconds("max_future_skew")
        if let name = reader.string("timezone") {
            let location = reader.location(of: "timezone")
            if let zone = timeZone(name, at: location) { time.zone = zone }
            switch time.format {
            case .pattern(let pattern) where !pattern.contains("%z"): break
            case .pattern:
                reader.reportKey("timezone", "the format has its own offset, %z; leave it out")
            case .rfc3339:
                reader.reportKey(
                    "timezone",
                    "RFC 3339 times name their own offset; a timezone goes with a format such as "
                        + "\"%Y-%m-%d %H:%M:%S\"")
            default:
                reader.reportKey("timezone", "epoch numbers are UTC; leave timezone out")
            }
        }
        definition.time = time
        findings += reader.finish()
    }

    private func timeFormat(_ text: String, _ reader: inout SettingReader) -> TimeFormat {
        if let known = Self.timeFormats[text] { return known }
        guard text.contains("%") else {
            let names = SectionSpecification.timeFormats
            let hint = suggestion(for: text, among: names)
            reader.report(
                "format",
                "\"format\" must be one of \(names.joined(separator: ", ")) or a pattern such as "
                    + "\"%Y-%m-%d %H:%M:%S\"\(hint)")
            return .rfc3339
        }
        if let problem = TimePattern.problem(of: text) { reader.report("format", problem) }
        return .pattern(text)
    }
}

/// What a pattern of `time.format` may hold.
enum TimePattern {
    private static let directives: [Character] = [
        "Y", "m", "d", "e", "j", "b", "H", "M", "S", "f", "z",
    ]

    /// What is wrong with a pattern, or nil.
    static func problem(of pattern: String) -> String? {
        var found: [Character] = []
        var rest = pattern[...]
        while let percent = rest.firstIndex(of: "%") {
            rest = rest[rest.index(after: percent)...]
            guard let directive = rest.popFirst() else {
                return "the pattern ends in the middle of a %; a percent sign is %%"
            }
            if directive == "%" { continue }
            if !directives.contains(directive) { return unknown(directive) }
            if found.contains(directive) { return "the pattern has %\(directive) twice" }
            found.append(directive)
        }
        return problem(of: Set(found))
    }

    private static func unknown(_ directive: Character) -> String {
        let instead: [Character: String] = [
            "y": "; years have four digits, %Y", "Z": "; an offset or Z is %z",
            "B": "; the short names of months are %b", "T": "; write %H:%M:%S",
            "F": "; write %Y-%m-%d", "D": "; write %m/%d/%Y", "R": "; write %H:%M",
            "I": "; only the 24 hours of %H are read", "p": "; only the 24 hours of %H are read",
            "s": "; epoch numbers are the format epoch_s", "L": "; a fraction is %f",
            "N": "; a fraction is %f",
        ]
        let all = directives.map { "%\($0)" }.joined(separator: " ")
        return "there is no %\(directive)\(instead[directive] ?? "; there are \(all) %%")"
    }

    /// A pattern must name one day, and nothing of it twice.
    private static func problem(of found: Set<Character>) -> String? {
        if found.isSuperset(of: ["m", "b"]) { return "the pattern has the month twice, %m and %b" }
        if found.isSuperset(of: ["d", "e"]) { return "the pattern has the day twice, %d and %e" }
        let hasMonth = !found.isDisjoint(with: ["m", "b"])
        let hasDay = !found.isDisjoint(with: ["d", "e"])
        if found.contains("j"), hasMonth || hasDay {
            return "%j is the day of the year; it stands without a month and a day of the month"
        }
        guard found.contains("Y"), found.contains("j") || hasMonth && hasDay else {
            return "the pattern must name a day: %Y with %m and %d, %b and %e, or %j"
        }
        if found.contains("M"), !found.contains("H") { return "%M needs the hours, %H" }
        if found.contains("S"), !found.contains("M") { return "%S needs the minutes, %M" }
        if found.contains("f"), !found.contains("S") { return "%f needs the seconds, %S" }
        return nil
    }
}
