import Foundation
import TestKit
import Testing

@testable import Windowing

@Suite struct TimeZoneTests {
    /// With summer time in the north and in the south, by 30 minutes, ended long ago, with negative
    /// summer time, with a day left out, with changes at midnight, and without any.
    static let zones = [
        "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo",
        "Europe/Dublin", "Pacific/Apia", "America/St_Johns", "America/Havana", "Asia/Kolkata",
        "America/Santiago", "UTC", "Asia/Kathmandu",
    ]

    @Test(arguments: zones)
    func `offsets are those of the reference from 1970 to 2100`(name: String) throws {
        let zone = try ZoneFiles.zone(name)
        let reference = try #require(TimeZone(identifier: name))
        var random = SeededRandom(seed: 70)
        for _ in 0..<4000 {
            let seconds = Int64.random(in: 0...4_118_000_000, using: &random)
            let expected = reference.secondsFromGMT(
                for: Date(timeIntervalSince1970: TimeInterval(seconds)))
            #expect(zone.offset(atUTC: seconds * 1000) == Int64(expected) * 1000, "\(seconds)")
        }
    }

    /// In milliseconds: the moment of a change, and the offsets before and after it, in hours.
    @Test(arguments: [
        ("America/New_York", "2024-03-10T07:00:00Z", -5.0, -4.0),
        ("America/New_York", "2024-11-03T06:00:00Z", -4, -5),
        ("America/New_York", "1970-04-26T07:00:00Z", -5, -4),
        ("America/New_York", "2100-03-14T07:00:00Z", -5, -4),
        ("America/New_York", "2100-11-07T06:00:00Z", -4, -5),
        ("Europe/Berlin", "2024-03-31T01:00:00Z", 1, 2),
        ("Europe/Berlin", "2024-10-27T01:00:00Z", 2, 1),
        ("Australia/Lord_Howe", "2024-04-06T15:00:00Z", 11, 10.5),
        ("Australia/Lord_Howe", "2024-10-05T15:30:00Z", 10.5, 11),
        ("Australia/Lord_Howe", "2100-04-03T15:00:00Z", 11, 10.5),
        ("Europe/Dublin", "2024-03-31T01:00:00Z", 0, 1),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", -3, -2),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", -10, 14),
    ])
    func `clocks change at the moment and by the amount of the law`(
        name: String, at: String, before: Double, after: Double
    ) throws {
        let zone = try ZoneFiles.zone(name)
        let time = try ZoneFiles.time(at)
        #expect(zone.offset(atUTC: time - 1) == Int64(before * 3_600_000))
        #expect(zone.offset(atUTC: time) == Int64(after * 3_600_000))
    }

    @Test(arguments: zones)
    func `local times lead back`(name: String) throws {
        let zone = try ZoneFiles.zone(name)
        var random = SeededRandom(seed: 71)
        let changes = zone.transitions(from: 0).times.dropFirst()
        for round in 0..<2000 {
            var time = Int64.random(in: -2_000_000_000_000...20_000_000_000_000, using: &random)
            // Every second one near a change.
            if round % 2 == 0, let change = changes.randomElement(using: &random) {
                time = change + Int64.random(in: -7_200_000...7_200_000, using: &random)
            }
            let local = time + zone.offset(atUTC: time)
            let back = zone.utc(fromLocal: local)
            #expect(back + zone.offset(atUTC: back) == local, "\(time)")
            #expect(back <= time, "of two the first is meant: \(time)")
            #expect(time - back <= 7_200_000, "\(time)")
        }
    }

    @Test(arguments: [
        // Put forward at 02:00: 02:30 does not exist, and is 03:30.
        ("America/New_York", "2024-03-10T02:30:00Z", "2024-03-10T07:30:00Z"),
        ("America/New_York", "2024-03-10T01:59:59Z", "2024-03-10T06:59:59Z"),
        ("America/New_York", "2024-03-10T03:00:00Z", "2024-03-10T07:00:00Z"),
        // Put back at 02:00: 01:30 comes twice, and the first is meant.
        ("America/New_York", "2024-11-03T01:30:00Z", "2024-11-03T05:30:00Z"),
        ("America/New_York", "2024-11-03T02:00:00Z", "2024-11-03T07:00:00Z"),
        ("Australia/Lord_Howe", "2024-04-07T01:45:00Z", "2024-04-06T14:45:00Z"),
        ("Australia/Lord_Howe", "2024-10-06T02:15:00Z", "2024-10-05T15:45:00Z"),
        ("America/New_York", "2100-03-14T02:30:00Z", "2100-03-14T07:30:00Z"),
        ("America/New_York", "9999-07-01T12:00:00Z", "9999-07-01T16:00:00Z"),
        ("Asia/Kolkata", "2024-03-10T02:30:00Z", "2024-03-09T21:00:00Z"),
        ("Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T22:00:00Z"),
    ])
    func `gaps and folds are resolved as documented`(
        name: String, local: String, expected: String
    ) throws {
        let zone = try ZoneFiles.zone(name)
        #expect(zone.utc(fromLocal: try ZoneFiles.time(local)) == (try ZoneFiles.time(expected)))
    }

    @Test(arguments: ["America/New_York", "Australia/Lord_Howe"])
    func `the calendar comes back after 400 years`(name: String) throws {
        let zone = try ZoneFiles.zone(name)
        let cycle: Int64 = 146_097 * 86_400_000
        var random = SeededRandom(seed: 72)
        for _ in 0..<2000 {
            let time = Int64.random(in: 2_200_000_000_000...14_800_000_000_000, using: &random)
            for cycles in [1, 2, 50, 300_000] as [Int64] {
                #expect(zone.offset(atUTC: time) == zone.offset(atUTC: time + cycles * cycle))
                let local = zone.utc(fromLocal: time + cycles * cycle)
                #expect(local == zone.utc(fromLocal: time) + cycles * cycle)
            }
        }
    }

    @Test func `transitions are given as arrays that tell the same`() throws {
        for name in Self.zones {
            let zone = try ZoneFiles.zone(name)
            let (times, offsets) = zone.transitions()
            #expect(times.count == offsets.count)
            #expect(times == times.sorted())
            #expect(times.first == Int64.min)
            for (time, offset) in zip(times, offsets).dropFirst() {
                #expect(zone.offset(atUTC: time) == offset)
                #expect(zone.offset(atUTC: time - 1) != offset)
            }
        }
        let year2201 = try ZoneFiles.time("2201-01-01T00:00:00Z")
        let (times, _) = try ZoneFiles.zone("Europe/Berlin").transitions(from: 0)
        #expect(times.first == 0)
        #expect((0..<200 * 86_400_000).contains(year2201 - (times.last ?? 0)))
        #expect(TimeZoneRules.utc.transitions(from: 5, through: 6) == ([5], [0]))
    }

    @Test func `all of time can be asked for`() throws {
        for name in Self.zones {
            let zone = try ZoneFiles.zone(name)
            for time in [Int64.min, Int64.min + 1, -1, 0, Int64.max - 1, Int64.max] {
                #expect(abs(zone.offset(atUTC: time)) < 86_400_000)
                _ = zone.utc(fromLocal: time)
                for unit in [CalendarPeriod.Unit.day, .week, .month] {
                    let bounds = CalendarPeriod(unit, zone: zone).bounds(containing: time)
                    #expect(bounds.start < bounds.end)
                }
            }
        }
    }

    @Test func `zones are equal when their rules and names are`() throws {
        #expect(try ZoneFiles.zone("Europe/Berlin") == ZoneFiles.zone("Europe/Berlin"))
        #expect(try ZoneFiles.zone("Europe/Berlin") != ZoneFiles.zone("Europe/Paris"))
        #expect(TimeZoneRules.utc.name == "UTC")
    }
}
