/// When something happens again and again: `minute hour day month weekday`, with seconds in front
/// when there are six fields. `*`, lists, ranges and steps; names of months and days.
///
/// When both day and weekday are given, one of them is enough, as in every cron.
public struct CronSchedule: Sendable, Hashable {
    private var seconds: UInt64 = 1
    private var minutes: UInt64
    private var hours: UInt64
    private var days: UInt64
    private var months: UInt64
    private var weekdays: UInt64
    private var isAnyDay: Bool
    private var isAnyWeekday: Bool
    /// True when the hour is `*`, or every so many: such a schedule goes by the time that passes,
    /// so that it happens in both hours when clocks are put back.
    let isAnyHour: Bool

    /// A time as clocks show it.
    public struct Clock: Sendable, Hashable {
        /// The Gregorian year.
        public var year: Int
        /// 1 to 12.
        public var month: Int
        /// 1 to 31.
        public var day: Int
        /// 0 to 23.
        public var hour = 0
        /// 0 to 59.
        public var minute = 0
        /// 0 to 59.
        public var second = 0

        /// Midnight of a day.
        public init(year: Int, month: Int, day: Int) {
            self.year = year
            self.month = month
            self.day = day
        }
    }

    /// Reads five or six fields; nil when they are no schedule.
    public init?(_ text: String) {
        var fields = text.split(separator: " ")
        if fields.count == 6 {
            guard let seconds = Self.field(fields.removeFirst(), 0...59, []) else { return nil }
            self.seconds = seconds
        }
        let monthNames = [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ]
        let dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
        guard fields.count == 5, let minutes = Self.field(fields[0], 0...59, []),
            let hours = Self.field(fields[1], 0...23, []),
            let days = Self.field(fields[2], 1...31, []),
            let months = Self.field(fields[3], 1...12, monthNames, first: 1),
            var weekdays = Self.field(fields[4], 0...7, dayNames)
        else { return nil }
        if weekdays >> 7 & 1 == 1 { weekdays |= 1 }
        self.minutes = minutes
        self.hours = hours
        self.days = days
        self.months = months
        self.weekdays = weekdays
        isAnyDay = fields[2].first == "*"
        isAnyWeekday = fields[4].first == "*"
        isAnyHour = fields[1].first == "*"
    }

    private static func field(
        _ text: Substring, _ range: ClosedRange<Int>, _ names: [String], first: Int = 0
    ) -> UInt64? {
        func number(_ text: Substring) -> Int? {
            if let index = names.firstIndex(of: text.lowercased()) { return index + first }
            return Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
        var bits: UInt64 = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: "/", omittingEmptySubsequences: false)
            guard halves.count <= 2, let span = halves.first else { return nil }
            var bounds = range
            if span != "*" {
                let ends = span.split(separator: "-", omittingEmptySubsequences: false)
                guard ends.count <= 2, let low = number(ends[0]) else { return nil }
                let high = ends.count == 2 ? number(ends[1]) : halves.count == 2 ? nil : low
                guard let upper = ends.count == 1 && halves.count == 2 ? range.upperBound : high,
                    low <= upper
                else { return nil }
                bounds = low...upper
            }
            var step = 1
            if halves.count == 2 {
                guard let given = Int(halves[1]), given > 0 else { return nil }
                step = given
            }
            for value in stride(from: bounds.lowerBound, through: bounds.upperBound, by: step) {
                bits |= 1 << UInt64(value)
            }
        }
        return bits
    }

    private static func has(_ bits: UInt64, _ value: Int) -> Bool { bits >> UInt64(value) & 1 == 1 }

    private static func length(_ year: Int, _ month: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    }

    /// Sunday is 0 (Sakamoto's method).
    private static func weekday(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month < 3 ? year - 1 : year
        let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month - 1]
        return (year + year / 4 - year / 100 + year / 400 + shift + day) % 7
    }

    private func fits(_ year: Int, _ month: Int, _ day: Int) -> Bool {
        let isDay = Self.has(days, day)
        let isWeekday = Self.has(weekdays, Self.weekday(year, month, day))
        if isAnyDay || isAnyWeekday { return isDay && isWeekday }
        return isDay || isWeekday
    }

    /// True when it happens at this very second.
    func happens(at clock: Clock) -> Bool {
        Self.has(months, clock.month) && fits(clock.year, clock.month, clock.day)
            && Self.has(hours, clock.hour) && Self.has(minutes, clock.minute)
            && Self.has(seconds, clock.second)
    }

    /// The first time after `clock`, within the next nine years; nil when there is none, as for the
    /// 30th of February.
    public func next(after clock: Clock) -> Clock? {
        var found = Clock(year: clock.year, month: clock.month, day: clock.day)
        var isFirstDay = true
        while found.year <= clock.year + 9 {
            if Self.has(months, found.month), fits(found.year, found.month, found.day) {
                let from =
                    isFirstDay ? clock.hour * 3600 + clock.minute * 60 + clock.second + 1 : 0
                if let time = timeOfDay(from: from) {
                    found.hour = time / 3600
                    found.minute = time / 60 % 60
                    found.second = time % 60
                    return found
                }
            }
            isFirstDay = false
            found.day += 1
            if found.day > Self.length(found.year, found.month) {
                found.day = 1
                found.month += 1
                if found.month > 12 {
                    found.month = 1
                    found.year += 1
                }
            }
        }
        return nil
    }

    private func timeOfDay(from start: Int) -> Int? {
        var hour = start / 3600
        while hour < 24 {
            if Self.has(hours, hour) {
                let base = hour * 3600
                for minute in 0..<60 where Self.has(minutes, minute) {
                    for second in 0..<60 where Self.has(seconds, second) {
                        let time = base + minute * 60 + second
                        if time >= start { return time }
                    }
                }
            }
            hour += 1
        }
        return nil
    }
}
