/// Days, weeks or months of a civil calendar in a time zone.
///
/// Several of them are counted from 1970-01-01 (days), from Monday, 1969-12-29 (weeks), and from
/// January 1970 (months).
public struct CalendarPeriod: Sendable, Hashable {
    /// What is counted.
    public enum Unit: Sendable, Hashable {
        /// Civil days, of 23 to 25 hours where clocks are changed.
        case day
        /// Weeks that begin on Monday, as ISO 8601 has it.
        case week
        /// Months.
        case month
    }

    /// What is counted.
    public var unit: Unit
    /// How many of them make one window.
    public var count: Int
    /// Where midnight is taken from.
    public var zone: TimeZoneRules

    /// Creates a period.
    public init(_ unit: Unit, count: Int = 1, zone: TimeZoneRules) {
        self.unit = unit
        self.count = count
        self.zone = zone
    }

    /// The period that a time (milliseconds, UTC) is in: from `start`, and before `end`.
    ///
    /// A day begins at the first moment of its date, also when it has no midnight. Where clocks
    /// are put back over midnight, the hour that the old date gets once more is in the new one.
    public func bounds(containing time: Int64) -> (start: Int64, end: Int64) {
        // Half of what zones can do, so that every period has an end.
        let limit = TimeZoneRules.limits.upperBound / 2
        let time = min(max(time, -limit), limit)
        let day = floorDivision(time + zone.offset(atUTC: time), 86_400_000)
        var index = floorDivision(place(of: day), Int64(max(count, 1)))
        var start = start(of: index)
        var end = self.start(of: index + 1)
        while time >= end {
            index += 1
            start = end
            end = self.start(of: index + 1)
        }
        while time < start {
            index -= 1
            end = start
            start = self.start(of: index)
        }
        return (start, end)
    }

    /// How many units a day is after the first.
    private func place(of day: Int64) -> Int64 {
        switch unit {
        case .day: return day
        case .week: return floorDivision(day + 3, 7)
        case .month:
            let date = CivilDate(days: day)
            return (date.year - 1970) * 12 + date.month - 1
        }
    }

    /// The first moment of a period.
    private func start(of index: Int64) -> Int64 {
        let place = index * Int64(max(count, 1))
        let day: Int64
        switch unit {
        case .day: day = place
        case .week: day = place * 7 - 3
        case .month:
            let year = floorDivision(place, 12)
            day = CivilDate(year: 1970 + year, month: place - year * 12 + 1, day: 1).days
        }
        return zone.firstInstant(ofLocal: day * 86_400_000)
    }
}

/// Finds the periods of many times, most of which are in the same one.
public struct CalendarCursor: Sendable {
    private let period: CalendarPeriod
    private var start: Int64 = 0
    private var end: Int64 = 0

    /// Begins without knowing any.
    public init(_ period: CalendarPeriod) { self.period = period }

    /// The period that a time is in.
    public mutating func bounds(containing time: Int64) -> (start: Int64, end: Int64) {
        if time < start || time >= end { (start, end) = period.bounds(containing: time) }
        return (start, end)
    }
}
