/// The offsets of a time zone through the years, past and to come.
///
/// All times are milliseconds since 1970. Where clocks are put back, a local time that comes twice
/// means the first of the two; where they are put forward, a local time that does not exist means
/// the one that is as far behind the change (02:30 is 03:30 then).
public struct TimeZoneRules: Sendable {
    /// The IANA name.
    public let name: String
    /// When the offset changes (UTC), ascending; the first is `Int64.min`.
    private let times: [Int64]
    /// The offset from then on.
    private let offsets: [Int64]
    /// True when the last 400 years of the table go on forever, as the calendar does.
    private let isCyclic: Bool

    /// Coordinated Universal Time.
    public static let utc = TimeZoneRules(name: "UTC")

    /// The Gregorian calendar, weekdays included, comes back after 400 years.
    private static let cycle: Int64 = 146_097 * 86_400_000
    /// The year 1600 in seconds; nobody kept zone time before.
    private static let earliest: Int64 = -11_676_096_000
    /// More than any zone is ahead of or behind UTC.
    private static let widest: Int64 = 27 * 3_600_000
    /// Times beyond these, 146 million years away, are taken for them.
    static let limits: ClosedRange<Int64> = -(1 << 62)...(1 << 62)

    private init(name: String) {
        self.name = name
        times = [Int64.min]
        offsets = [0]
        isCyclic = false
    }

    /// Reads a TZif file (RFC 8536, versions 1 to 4) without leap seconds.
    public init(name: String, tzif bytes: [UInt8]) throws(TimeZoneError) {
        let file = try ZoneFile(bytes)
        var changes = file.transitions
        if let rule = file.rule, rule.summer != nil {
            let last = changes.last?.time
            // Some files begin with a transition at the beginning of the universe.
            let latest = max(last ?? Int64.min, Self.earliest)
            let year = CivilDate(days: floorDivision(latest, 86_400)).year
            for change in rule.changes(in: year...max(year, 2037) + 402)
            where change.time > last ?? Int64.min {
                changes.append(change)
            }
        }
        var times = [Int64.min]
        var offsets = [file.initial * 1000]
        for change in changes where change.offset * 1000 != offsets.last {
            if change.time < Self.earliest {
                offsets[0] = change.offset * 1000
            } else {
                times.append(change.time * 1000)
                offsets.append(change.offset * 1000)
            }
        }
        self.name = name
        self.times = times
        self.offsets = offsets
        isCyclic = file.rule?.summer != nil && times.count > 1
    }

    /// How far local time is ahead of UTC, in milliseconds.
    public func offset(atUTC time: Int64) -> Int64 { offsets[index(at: folded(time).time)] }

    /// The time of a local time, given as if it were UTC.
    public func utc(fromLocal local: Int64) -> Int64 { utc(fromLocal: local, inGap: .shifted) }

    /// The first time at which local clocks show a time, or have jumped over it.
    func firstInstant(ofLocal local: Int64) -> Int64 { utc(fromLocal: local, inGap: .skipped) }

    /// All changes from one time to another, as arrays of when (UTC) and of the offset from then
    /// on. The first entry is the offset that holds at `first`, whenever it began.
    public func transitions(
        from first: Int64 = Int64.min, through last: Int64 = 7_289_654_400_000
    ) -> (times: [Int64], offsets: [Int64]) {
        var found: (times: [Int64], offsets: [Int64]) = ([first], [offset(atUTC: first)])
        var at = index(at: first) + 1
        while at < times.count, times[at] <= last {
            found.times.append(times[at])
            found.offsets.append(offsets[at])
            at += 1
        }
        return found
    }

    // MARK: Search

    private enum Gap {
        /// As far behind the change as the time is behind the beginning of the gap.
        case shifted
        /// The change itself.
        case skipped
    }

    private func utc(fromLocal given: Int64, inGap gap: Gap) -> Int64 {
        let (local, shift) = folded(given)
        var at = index(at: local - Self.widest)
        while at + 1 < times.count, local - offsets[at] >= times[at + 1] { at += 1 }
        let time = local - offsets[at]
        if at > 0, time < times[at] {
            return shift + (gap == .skipped ? times[at] : local - offsets[at - 1])
        }
        return shift + time
    }

    /// A time that the table covers, and how many milliseconds it is away from the one given.
    private func folded(_ given: Int64) -> (time: Int64, shift: Int64) {
        let time = min(max(given, Self.limits.lowerBound), Self.limits.upperBound)
        // A margin on both sides, so that local times find their neighbours.
        guard isCyclic, let last = times.last, time > last - 2 * Self.widest else {
            return (time, 0)
        }
        let end = last - 2 * Self.widest
        let cycles = (time - end + Self.cycle - 1) / Self.cycle
        return (time - cycles * Self.cycle, cycles * Self.cycle)
    }

    /// The last change that is not after a time.
    private func index(at time: Int64) -> Int {
        var low = 0
        var high = times.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if times[middle] <= time { low = middle } else { high = middle }
        }
        return low
    }
}

extension TimeZoneRules: Hashable {
    /// The name tells zones apart well enough.
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
