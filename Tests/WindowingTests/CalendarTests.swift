import Foundation
import TestKit
import Testing

@testable import Windowing

@Suite struct CalendarTests {
    private static let units: [CalendarPeriod.Unit] = [.day, .week, .month]

    private func reference(_ name: String) throws -> Calendar {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: name))
        calendar.firstWeekday = 2
        calendar.minimumDaysInFirstWeek = 4
        return calendar
    }

    @Test(arguments: [
        "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC",
        "America/Havana",
    ])
    func `periods are those of the reference calendar`(name: String) throws {
        let calendar = try reference(name)
        let zone = try ZoneFiles.zone(name)
        var random = SeededRandom(seed: 80)
        for _ in 0..<500 {
            let time = Int64.random(in: 0...4_118_000_000_000, using: &random)
            let date = Date(timeIntervalSince1970: TimeInterval(time) / 1000)
            for (unit, component) in [
                (CalendarPeriod.Unit.day, Calendar.Component.day), (.week, .weekOfYear),
                (.month, .month),
            ] {
                let expected = try #require(calendar.dateInterval(of: component, for: date))
                let bounds = CalendarPeriod(unit, zone: zone).bounds(containing: time)
                #expect(bounds.start == Int64(expected.start.timeIntervalSince1970 * 1000))
                #expect(bounds.end == Int64(expected.end.timeIntervalSince1970 * 1000))
            }
        }
    }

    @Test(arguments: TimeZoneTests.zones)
    func `periods follow each other without a gap and without overlap`(name: String) throws {
        let zone = try ZoneFiles.zone(name)
        var random = SeededRandom(seed: 81)
        for unit in Self.units {
            for count in [1, 2, 7] {
                let period = CalendarPeriod(unit, count: count, zone: zone)
                var cursor = CalendarCursor(period)
                var time = Int64.random(in: -1_000_000_000_000...9_000_000_000_000, using: &random)
                var bounds = period.bounds(containing: time)
                for _ in 0..<250 {
                    try #require(bounds.start <= time && time < bounds.end)
                    let inside = Int64.random(in: bounds.start..<bounds.end, using: &random)
                    #expect(period.bounds(containing: inside) == bounds)
                    #expect(period.bounds(containing: bounds.start) == bounds)
                    #expect(period.bounds(containing: bounds.end - 1) == bounds)
                    #expect(cursor.bounds(containing: inside) == bounds)
                    let next = period.bounds(containing: bounds.end)
                    #expect(next.start == bounds.end)
                    time = bounds.end
                    bounds = next
                }
            }
        }
    }

    /// A moment, and the beginning and the end of its day.
    @Test(arguments: [
        // 23, 25, 23 1/2 and 24 1/2 hours.
        (
            "America/New_York", "2024-03-10T12:00:00Z", "2024-03-10T05:00:00Z",
            "2024-03-11T04:00:00Z"
        ),
        (
            "America/New_York", "2024-11-03T12:00:00Z", "2024-11-03T04:00:00Z",
            "2024-11-04T05:00:00Z"
        ),
        ("Europe/Berlin", "2024-10-27T12:00:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z"),
        (
            "Australia/Lord_Howe", "2024-10-06T00:00:00Z", "2024-10-05T13:30:00Z",
            "2024-10-06T13:00:00Z"
        ),
        (
            "Australia/Lord_Howe", "2024-04-07T00:00:00Z", "2024-04-06T13:00:00Z",
            "2024-04-07T13:30:00Z"
        ),
        // Without midnight: the day begins at 01:00.
        (
            "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z",
            "2018-11-05T02:00:00Z"
        ),
        (
            "America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z",
            "2018-11-04T03:00:00Z"
        ),
        ("Asia/Beirut", "2022-03-27T12:00:00Z", "2022-03-26T22:00:00Z", "2022-03-27T21:00:00Z"),
        // Put back at midnight: the day before has 25 hours.
        (
            "America/Sao_Paulo", "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z",
            "2018-02-18T03:00:00Z"
        ),
        ("Asia/Beirut", "2022-10-29T21:30:00Z", "2022-10-28T21:00:00Z", "2022-10-29T22:00:00Z"),
        // Put back from 00:01 to 23:01: the new date has begun before.
        (
            "America/St_Johns", "2010-11-07T02:45:00Z", "2010-11-07T02:30:00Z",
            "2010-11-08T03:30:00Z"
        ),
        // 2011-12-30 was left out.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        ("UTC", "1969-12-31T23:59:59Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("Asia/Kolkata", "1970-01-01T00:00:00Z", "1969-12-31T18:30:00Z", "1970-01-01T18:30:00Z"),
        ("Europe/Berlin", "2100-03-28T12:00:00Z", "2100-03-27T23:00:00Z", "2100-03-28T22:00:00Z"),
    ])
    func `a day begins at the first moment of its date`(
        name: String, at: String, start: String, end: String
    ) throws {
        let period = CalendarPeriod(.day, zone: try ZoneFiles.zone(name))
        let bounds = period.bounds(containing: try ZoneFiles.time(at))
        #expect(bounds.start == (try ZoneFiles.time(start)))
        #expect(bounds.end == (try ZoneFiles.time(end)))
    }

    @Test func `a day whose midnight was jumped over begins with the jump`() throws {
        // At 23:30 of the first day clocks go to 00:30 of the second.
        let bytes = ZoneFiles.body(version: 0, width: 4, [84_600], [0, 3600])
        let period = CalendarPeriod(.day, zone: try TimeZoneRules(name: "x", tzif: bytes))
        #expect(period.bounds(containing: 84_599_999) == (0, 84_600_000))
        #expect(period.bounds(containing: 84_600_000) == (84_600_000, 169_200_000))
        #expect(period.zone.utc(fromLocal: 86_400_000) == 86_400_000)
    }

    /// Several units, counted from 1970-01-01, Monday 1969-12-29 and 1970-01.
    @Test(arguments: [
        (CalendarPeriod.Unit.day, 2, "1970-01-02T12:00:00Z", "1970-01-01T00:00:00Z", 2),
        (.day, 2, "1969-12-31T12:00:00Z", "1969-12-30T00:00:00Z", 2),
        (.week, 1, "1970-01-01T00:00:00Z", "1969-12-29T00:00:00Z", 7),
        (.week, 2, "1970-01-11T00:00:00Z", "1969-12-29T00:00:00Z", 14),
        (.week, 2, "1969-12-28T00:00:00Z", "1969-12-15T00:00:00Z", 14),
        (.month, 1, "2024-02-29T23:00:00Z", "2024-02-01T00:00:00Z", 29),
        (.month, 3, "2026-11-23T00:00:00Z", "2026-10-01T00:00:00Z", 92),
        (.month, 12, "1969-06-01T00:00:00Z", "1969-01-01T00:00:00Z", 365),
    ])
    func `several units are counted from a fixed day`(
        unit: CalendarPeriod.Unit, count: Int, at: String, start: String, days: Int64
    ) throws {
        let period = CalendarPeriod(unit, count: count, zone: .utc)
        let bounds = period.bounds(containing: try ZoneFiles.time(at))
        #expect(bounds.start == (try ZoneFiles.time(start)))
        #expect(bounds.end == bounds.start + days * 86_400_000)
    }

    @Test func `dates and days lead to each other`() {
        var previous = CivilDate(days: -200_001)
        for days in -200_000...200_000 as ClosedRange<Int64> {
            let date = CivilDate(days: days)
            guard date.days == days, previous < date else {
                Issue.record("\(date)")
                return
            }
            previous = date
        }
        #expect(CivilDate(days: 0) == CivilDate(year: 1970, month: 1, day: 1))
        #expect(CivilDate(year: 2000, month: 2, day: 29).days == 11_016)
    }
}
