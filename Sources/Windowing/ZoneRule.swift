/// What clocks do in all years to come: the TZ string at the end of a TZif file, such as
/// `EST5EDT,M3.2.0,M11.1.0` (POSIX, with the wider hours of RFC 8536).
struct ZoneRule {
    /// When in a year a clock is changed.
    struct Change {
        enum Day {
            /// Day 1 to 365; February 29 does not count.
            case withoutLeapDay(Int64)
            /// Day 0 to 365.
            case ofYear(Int64)
            /// The week 1 to 5 (the last) of a month, and the weekday from Sunday = 0.
            case weekday(month: Int64, week: Int64, day: Int64)
        }

        var day: Day
        /// Seconds after midnight; may be negative or beyond the day.
        var time: Int64

        /// Local seconds since 1970 in a year.
        func seconds(in year: Int64) -> Int64 {
            let start = CivilDate(year: year, month: 1, day: 1).days
            let date: Int64
            switch day {
            case .withoutLeapDay(let number):
                date = start + number - 1 + (number >= 60 && CivilDate.isLeap(year) ? 1 : 0)
            case .ofYear(let number): date = start + number
            case .weekday(let month, let week, let day):
                let first = CivilDate(year: year, month: month, day: 1).days
                let weekday = floorRemainder(first + 4, 7)
                let offset = floorRemainder(day - weekday, 7)
                let next = CivilDate(
                    year: month == 12 ? year + 1 : year, month: month == 12 ? 1 : month + 1,
                    day: 1)
                var found = first + offset + (week - 1) * 7
                while found >= next.days { found -= 7 }
                date = found
            }
            return date * 86_400 + time
        }
    }

    /// Seconds ahead of UTC in winter.
    var standard: Int64
    /// Seconds ahead of UTC in summer, and when that begins and ends; nil without summer time.
    var summer: (offset: Int64, start: Change, end: Change)?

    /// All changes of some years in order: when (UTC seconds), and the offset from then on.
    func changes(in years: ClosedRange<Int64>) -> [(time: Int64, offset: Int64)] {
        guard let summer else { return [] }
        var found: [(time: Int64, offset: Int64)] = []
        for year in years {
            let start = (summer.start.seconds(in: year) - standard, summer.offset)
            let end = (summer.end.seconds(in: year) - summer.offset, standard)
            found += start.0 < end.0 ? [start, end] : [end, start]
        }
        // Summer time through the whole year ends in the second in which it begins again.
        var clean: [(time: Int64, offset: Int64)] = []
        for change in found {
            if let last = clean.last, last.time >= change.time { clean.removeLast() }
            clean.append(change)
        }
        return clean
    }
}

func floorRemainder(_ number: Int64, _ divisor: Int64) -> Int64 {
    number - floorDivision(number, divisor) * divisor
}

/// Reads TZ strings.
struct ZoneRuleParser {
    private var rest: ArraySlice<UInt8>

    init(_ text: ArraySlice<UInt8>) { rest = text }

    /// The rule, or nil when the text is none.
    mutating func rule() -> ZoneRule? {
        guard name(), let standard = time(hours: 24) else { return nil }
        var rule = ZoneRule(standard: -standard)
        if rest.isEmpty { return rule }
        guard name() else { return nil }
        var summer = rule.standard + 3600
        if let first = rest.first, first != Self.comma {
            guard let offset = time(hours: 24) else { return nil }
            summer = -offset
        }
        guard take(Self.comma), let start = change(), take(Self.comma), let end = change(),
            rest.isEmpty
        else { return nil }
        rule.summer = (summer, start, end)
        return rule
    }

    private static let comma = UInt8(ascii: ",")

    private mutating func take(_ byte: UInt8) -> Bool {
        guard rest.first == byte else { return false }
        rest.removeFirst()
        return true
    }

    /// At least three letters, or anything but `>` between `<` and `>`.
    private mutating func name() -> Bool {
        if take(UInt8(ascii: "<")) {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")), end - rest.startIndex >= 3
            else { return false }
            rest = rest[(end + 1)...]
            return true
        }
        let letters = rest.prefix { (0x61...0x7A).contains($0 | 0x20) }
        rest = rest[letters.endIndex...]
        return letters.count >= 3
    }

    private mutating func number(upTo limit: Int64) -> Int64? {
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard (1...3).contains(digits.count) else { return nil }
        let value = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
        rest = rest[digits.endIndex...]
        return value <= limit ? value : nil
    }

    /// `[+-]HH[:MM[:SS]]` in seconds.
    private mutating func time(hours limit: Int64) -> Int64? {
        let isNegative = take(UInt8(ascii: "-"))
        if !isNegative { _ = take(UInt8(ascii: "+")) }
        guard let hours = number(upTo: limit) else { return nil }
        var seconds = hours * 3600
        for unit in [Int64(60), 1] where take(UInt8(ascii: ":")) {
            guard let part = number(upTo: 59) else { return nil }
            seconds += part * unit
        }
        return isNegative ? -seconds : seconds
    }

    private mutating func change() -> ZoneRule.Change? {
        let day: ZoneRule.Change.Day
        if take(UInt8(ascii: "M")) {
            let dot = UInt8(ascii: ".")
            guard let month = number(upTo: 12), month > 0, take(dot),
                let week = number(upTo: 5), week > 0, take(dot), let weekday = number(upTo: 6)
            else { return nil }
            day = .weekday(month: month, week: week, day: weekday)
        } else if take(UInt8(ascii: "J")) {
            guard let number = number(upTo: 365), number > 0 else { return nil }
            day = .withoutLeapDay(number)
        } else {
            guard let number = number(upTo: 365) else { return nil }
            day = .ofYear(number)
        }
        guard take(UInt8(ascii: "/")) else { return ZoneRule.Change(day: day, time: 7200) }
        return time(hours: 167).map { ZoneRule.Change(day: day, time: $0) }
    }
}
