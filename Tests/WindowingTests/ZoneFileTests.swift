import TestKit
import Testing

@testable import Windowing

/// Files and rules of time zones, sound and damaged.
@Suite struct ZoneFileTests {
    /// A rule, a moment, and the offset in seconds.
    @Test(arguments: [
        ("UTC0", "2024-07-01T00:00:00Z", 0),
        ("<+0545>-5:45", "2024-07-01T00:00:00Z", 20_700),
        ("EST5EDT,M3.2.0,M11.1.0", "2024-03-10T06:59:59Z", -18_000),
        ("EST5EDT,M3.2.0,M11.1.0", "2024-03-10T07:00:00Z", -14_400),
        ("EST5EDT,M3.2.0,M11.1.0", "2024-11-03T06:00:00Z", -18_000),
        ("EST5EDT,M3.2.0,M11.1.0", "1950-07-01T00:00:00Z", -14_400),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2024-01-01T00:00:00Z", 39_600),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2024-04-06T15:00:00Z", 37_800),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2024-10-05T15:30:00Z", 39_600),
        // Hours below zero and beyond the day.
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T00:59:59Z", -7200),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00Z", -3600),
        ("IST-2IDT,M3.4.4/26,M10.5.0", "2024-03-28T23:59:59Z", 7200),
        ("IST-2IDT,M3.4.4/26,M10.5.0", "2024-03-29T00:00:00Z", 10_800),
        // Winter time that is called summer time.
        ("IST-1GMT0,M10.5.0,M3.5.0/1", "2024-01-01T00:00:00Z", 0),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", "2024-07-01T00:00:00Z", 3600),
        // Days of the year, without and with the leap day.
        ("AAA0BBB,J60/0,J300/0", "2024-02-29T23:59:59Z", 0),
        ("AAA0BBB,J60/0,J300/0", "2024-03-01T00:00:00Z", 3600),
        ("AAA0BBB,59/0,299/0", "2024-02-28T23:59:59Z", 0),
        ("AAA0BBB,59/0,299/0", "2024-02-29T00:00:00Z", 3600),
        ("AAA0BBB,59/0,299/0", "2023-03-01T00:00:00Z", 3600),
        // Summer time all the year.
        ("XXX3EDT4,0/0,J365/23", "2024-01-01T03:30:00Z", -14_400),
        ("EST5EDT,0/0,J365/25", "2024-01-01T04:59:59Z", -14_400),
        ("EST5EDT,0/0,J365/25", "2024-01-01T05:00:00Z", -14_400),
        ("EST5EDT,0/0,J365/25", "2024-12-31T23:59:59Z", -14_400),
    ])
    func `rules are followed`(rule: String, at: String, offset: Int64) throws {
        let standard = ZoneRuleParser.standard(of: rule)
        let zone = try TimeZoneRules(
            name: "x", tzif: ZoneFiles.file(rule: rule, offset: Int32(standard)))
        #expect(zone.offset(atUTC: try ZoneFiles.time(at)) == offset * 1000)
    }

    @Test(arguments: [
        "x", "EST", "EST5EDT", "EST5EDT,M3.2.0", "EST5EDT,M13.2.0,M11.1.0",
        "EST5EDT,M3.6.0,M11.1.0", "EST5EDT,M3.2.7,M11.1.0", "EST5EDT,M3.2.0,M11.1.0x",
        "EST5EDT,J0,J1", "EST5EDT,366,1", "EST25", "<+05-5", "EST5:60", "EST5EDT,M3.2.0/168,J1",
        "E5", ",",
    ])
    func `a rule that is none is refused`(rule: String) throws {
        let error = #expect(throws: TimeZoneError.self) { try ZoneFiles.zone(rule: rule) }
        #expect(error?.description == "the file is damaged: \"\(rule)\" is no rule")
    }

    @Test func `files of the first version have 32 bits and no rule`() throws {
        let bytes = ZoneFiles.body(version: 0, width: 4, [-1000, 2000], [60, 3600, 7200])
        let zone = try TimeZoneRules(name: "x", tzif: bytes)
        #expect(zone.transitions().times == [Int64.min, -1_000_000, 2_000_000])
        #expect(zone.transitions().offsets == [60_000, 3_600_000, 7_200_000])
    }

    @Test func `in newer files only the part with 64 bits counts`() throws {
        let bytes =
            ZoneFiles.body(version: 0x33, width: 4, [5], [9, 9])
            + ZoneFiles.body(version: 0x33, width: 8, [-4_000_000_000], [0, 3600])
            + Array("\n\n".utf8)
        let zone = try TimeZoneRules(name: "x", tzif: bytes)
        #expect(zone.transitions().times == [Int64.min, -4_000_000_000_000])
    }

    @Test func `the beginning of time in old files is no transition`() throws {
        for first in [Int64.min, -(1 << 59)] {
            let bytes =
                ZoneFiles.body(version: 0x32, width: 4, [], [0])
                + ZoneFiles.body(version: 0x32, width: 8, [first, 5], [60, 3600, 7200])
                + Array("\nAAA-2\n".utf8)
            let zone = try TimeZoneRules(name: "x", tzif: bytes)
            #expect(zone.transitions().offsets == [3_600_000, 7_200_000])
        }
    }

    @Test func `a damaged file is refused, whatever is wrong with it`() throws {
        let sound = try ZoneFiles.bytes("America/New_York")
        for length in 0..<sound.count {
            #expect(throws: TimeZoneError.self) {
                try TimeZoneRules(name: "x", tzif: Array(sound[..<length]))
            }
        }
        var random = SeededRandom(seed: 73)
        for _ in 0..<1000 {
            var bytes = sound
            for _ in 0...Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            // It may still be sound; what counts is that nothing crashes or hangs.
            guard let zone = try? TimeZoneRules(name: "x", tzif: bytes) else { continue }
            let time = Int64.random(in: Int64.min...Int64.max, using: &random)
            for unit in [CalendarPeriod.Unit.day, .month] {
                let bounds = CalendarPeriod(unit, zone: zone).bounds(containing: time)
                #expect(bounds.start < bounds.end)
            }
        }
    }

    @Test func `what a file says in error is told`() {
        let cases: [([UInt8], String)] = [
            (Array("TZ".utf8), "it is not a TZif file"),
            (
                ZoneFiles.body(version: 0, width: 4, [5, 5], [0, 1]),
                "the file is damaged: its transitions are out of order"
            ),
            (
                ZoneFiles.body(version: 0, width: 4, [], [100_000]),
                "the file is damaged: an offset of 100000 seconds"
            ),
            (
                ZoneFiles.body(version: 0, width: 4, [], [0], leaps: 1),
                "the file counts leap seconds, which event times do not"
            ),
            (
                ZoneFiles.body(version: 0, width: 4, [], []),
                "the file is damaged: it ends too early"
            ),
        ]
        for (bytes, message) in cases {
            let error = #expect(throws: TimeZoneError.self) {
                try TimeZoneRules(name: "x", tzif: bytes)
            }
            #expect(error?.description == message)
        }
    }
}

extension ZoneRuleParser {
    fileprivate static func standard(of rule: String) -> Int64 {
        var parser = ZoneRuleParser(Array(rule.utf8)[...])
        return parser.rule()?.standard ?? 0
    }
}
