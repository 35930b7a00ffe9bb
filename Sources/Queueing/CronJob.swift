/// What becomes of ticks that passed while nobody was there.
public enum MissedTicks: String, Sendable, Hashable, CaseIterable {
    /// Nothing.
    case skip
    /// The last one happens, late.
    case once
    /// All of them happen, late.
    case all
}

/// A message that is published again and again. Each tick has an id, so it is published once,
/// whatever crashes or runs twice.
public struct CronJob: Sendable {
    /// Its name; it is part of the ids.
    public var name: String
    /// When.
    public var schedule: CronSchedule
    /// What of the ticks that passed while nobody was there.
    public var missed: MissedTicks
    /// What is published.
    public var message: NewMessage
    /// From what clocks show to seconds since 1970, and back: the rules of a time zone. A time that
    /// clocks skip gives the first one after it.
    public var zone: Zone

    /// The rules of a time zone, from whoever knows them.
    public struct Zone: Sendable {
        /// Seconds since 1970 to what clocks show.
        public var clock: @Sendable (Int64) -> CronSchedule.Clock
        /// What clocks show to seconds since 1970.
        public var seconds: @Sendable (CronSchedule.Clock) -> Int64

        /// Rules of one's own.
        public init(
            clock: @escaping @Sendable (Int64) -> CronSchedule.Clock,
            seconds: @escaping @Sendable (CronSchedule.Clock) -> Int64
        ) {
            self.clock = clock
            self.seconds = seconds
        }

        /// UTC.
        public static let utc = Zone(clock: CivilTime.clock, seconds: CivilTime.seconds)
    }

    /// A job.
    public init(
        _ name: String, _ schedule: CronSchedule, missed: MissedTicks = .once,
        _ message: NewMessage, zone: Zone = .utc
    ) {
        self.name = name
        self.schedule = schedule
        self.missed = missed
        self.message = message
        self.zone = zone
    }

    /// The tick after a time, in seconds since 1970; nil for never.
    ///
    /// When clocks are put back, a schedule with hours of its own happens in the first of the two,
    /// and one for any hour in both.
    public func tick(after seconds: Int64) -> Int64? {
        if schedule.isAnyHour { return tickOfAnyHour(after: seconds) }
        var clock = zone.clock(seconds)
        // Clocks that go back show times again: a tick lies after the time, not before it.
        for _ in 0..<48 {
            guard let next = schedule.next(after: clock) else { return nil }
            let time = zone.seconds(next)
            if time > seconds { return time }
            clock = next
        }
        return nil
    }

    /// Goes by the time that passes, and begins anew wherever clocks are put forward or back.
    private func tickOfAnyHour(after seconds: Int64) -> Int64? {
        var start = seconds
        for _ in 0..<48 {
            let clock = zone.clock(start)
            guard let next = schedule.next(after: clock) else { return nil }
            let time = start + CivilTime.seconds(next) - CivilTime.seconds(clock)
            if zone.clock(time) == next { return time }
            let change = change(after: start, upTo: time)
            if schedule.happens(at: zone.clock(change)) { return change }
            start = change
        }
        return nil
    }

    /// The second at which clocks are put forward or back between two times that differ in it.
    private func change(after start: Int64, upTo end: Int64) -> Int64 {
        func offset(_ time: Int64) -> Int64 { CivilTime.seconds(zone.clock(time)) - time }
        var (low, high) = (start, end)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if offset(middle) == offset(start) { low = middle } else { high = middle }
        }
        return high
    }

    /// The ticks to be published now: of those after `last`, up to `now`, in seconds since 1970.
    /// When all that were missed are to happen, the first `limit` of them.
    public func ticks(after last: Int64, upTo now: Int64, limit: Int = 1_000) -> [Int64] {
        switch missed {
        case .all:
            var ticks: [Int64] = []
            while ticks.count < limit, let next = tick(after: ticks.last ?? last), next <= now {
                ticks.append(next)
            }
            return ticks
        case .once: return latestTick(after: last, upTo: now).map { [$0] } ?? []
        // Whoever is a second late did not miss it.
        case .skip: return latestTick(after: max(last, now - 61), upTo: now).map { [$0] } ?? []
        }
    }

    /// Looks for it from the end on, further and further back: there may be millions of them.
    private func latestTick(after last: Int64, upTo now: Int64) -> Int64? {
        var span: Int64 = 60
        while true {
            let start = max(last, now - span)
            if var found = tick(after: start), found <= now {
                while let next = tick(after: found), next <= now { found = next }
                return found
            }
            if start == last { return nil }
            span *= 8
        }
    }

    /// The message of a tick. It must go to a queue that compares ids.
    public func message(at tick: Int64) -> NewMessage {
        var message = message
        message.id = "cron:\(name):\(tick)"
        return message
    }
}

/// UTC, as clocks show it.
enum CivilTime {
    static func clock(_ seconds: Int64) -> CronSchedule.Clock {
        let days = seconds >= 0 ? seconds / 86_400 : -((86_399 - seconds) / 86_400)
        let rest = Int(seconds - days * 86_400)
        // Howard Hinnant's `civil_from_days`.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let year = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        var clock = CronSchedule.Clock(
            year: Int(year + era * 400) + (month >= 10 ? 1 : 0),
            month: Int(month < 10 ? month + 3 : month - 9),
            day: Int(dayOfYear - (153 * month + 2) / 5 + 1))
        clock.hour = rest / 3600
        clock.minute = rest / 60 % 60
        clock.second = rest % 60
        return clock
    }

    static func seconds(_ clock: CronSchedule.Clock) -> Int64 {
        let shifted = Int64(clock.month <= 2 ? clock.year - 1 : clock.year)
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let month = Int64(clock.month)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + Int64(clock.day) - 1
        let days =
            era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
        return days * 86_400 + Int64(clock.hour * 3600 + clock.minute * 60 + clock.second)
    }
}
