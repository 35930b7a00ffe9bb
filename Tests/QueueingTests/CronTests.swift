import Testing

@testable import Queueing

@Suite struct CronTests {
    private func times(_ text: String, from start: Int64, count: Int) throws -> [Int64] {
        let job = CronJob("j", try #require(CronSchedule(text)), NewMessage([]))
        var found: [Int64] = []
        var time = start
        while found.count < count, let next = job.tick(after: time) {
            found.append(next)
            time = next
        }
        return found
    }

    @Test func `schedules give their times`() throws {
        // 2026-01-01T00:00:00Z was a Thursday.
        let start: Int64 = 1_767_225_600
        #expect(try times("*/15 * * * *", from: start, count: 2) == [start + 900, start + 1800])
        #expect(
            try times("30 8 * * mon-fri", from: start, count: 3).map { ($0 - start) / 3600 }
                == [8, 32, 104])
        #expect(try times("0 0 29 2 *", from: start, count: 1) == [1_835_395_200])
        #expect(try times("5 0 0 1 1 *", from: start, count: 1) == [start + 5])
        #expect(try times("0 0 30 2 *", from: start, count: 1).isEmpty)
    }

    @Test(arguments: ["", "* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "* * * foo *"])
    func `what is no schedule is refused`(text: String) { #expect(CronSchedule(text) == nil) }

    @Test func `ticks that were missed are skipped, late once, or all late`() throws {
        let schedule = try #require(CronSchedule("0 * * * *"))
        let expected: [(MissedTicks, [Int64])] = [
            (.skip, []), (.once, [105]), (.all, [101, 102, 103, 104, 105]),
        ]
        for (missed, hours) in expected {
            let job = CronJob("j", schedule, missed: missed, NewMessage([]))
            let ticks = job.ticks(after: 3600 * 100, upTo: 3600 * 105 + 1800)
            #expect(ticks == hours.map { $0 * 3600 })
            #expect(job.ticks(after: 3600 * 105, upTo: 3600 * 105 + 1800).isEmpty)
            // Who is a second late did not miss it.
            #expect(job.ticks(after: 3600 * 105, upTo: 3600 * 106 + 1) == [3600 * 106])
        }
        let job = CronJob("j", schedule, NewMessage([]))
        #expect(job.message(at: 3600).id == "cron:j:3600")
    }

    @Test func `all ticks of a long absence come in steps, the latest one at once`() throws {
        let schedule = try #require(CronSchedule("* * * * * *"))
        let year: Int64 = 365 * 86_400
        let all = CronJob("j", schedule, missed: .all, NewMessage([]))
        var last: Int64 = 0
        for step in 1...3 as ClosedRange<Int64> {
            let ticks = all.ticks(after: last, upTo: year)
            #expect(ticks == Array((last + 1)...(step * 1_000)))
            last = ticks.last ?? 0
        }
        #expect(all.ticks(after: 5, upTo: 1_000, limit: 2_000) == Array(6...1_000))
        let once = CronJob("j", schedule, missed: .once, NewMessage([]))
        #expect(once.ticks(after: 0, upTo: year) == [year])
        let rare = CronJob("j", try #require(CronSchedule("0 0 29 2 *")), NewMessage([]))
        #expect(rare.ticks(after: 0, upTo: 20 * year).count == 1)
        #expect(rare.ticks(after: 0, upTo: year).isEmpty)
    }

    /// Two hours ahead of UTC up to a time, then one, or the other way round.
    private func zone(_ change: Int64, from before: Int64, to after: Int64) -> CronJob.Zone {
        CronJob.Zone(
            clock: { CivilTime.clock($0 + ($0 < change ? before : after)) },
            seconds: { clock in
                let local = CivilTime.seconds(clock)
                if local - before < change { return local - before }
                return max(change, local - after)
            })
    }

    @Test func `any hour happens in both hours when clocks are put back, a given one once`() throws
    {
        // 2026-10-25 01:00 UTC: from 03:00 back to 02:00.
        let change: Int64 = 1_792_890_000
        let zone = zone(change, from: 7_200, to: 3_600)
        func ticks(_ text: String) throws -> [Int64] {
            let schedule = try #require(CronSchedule(text))
            let job = CronJob("j", schedule, missed: .all, NewMessage([]), zone: zone)
            return job.ticks(after: change - 3_601, upTo: change + 7_200).map { ($0 - change) / 60 }
        }
        #expect(
            try ticks("*/15 * * * *") == [
                -60, -45, -30, -15, 0, 15, 30, 45, 60, 75, 90, 105, 120,
            ])
        #expect(try ticks("20 * * * *") == [-40, 20, 80])
        #expect(try ticks("0 */2 * * *") == [-60, 0, 120])
        #expect(try ticks("30 2 * * *") == [-30])
        #expect(try ticks("30 3 * * *") == [90])
    }

    @Test func `any hour leaves nothing out when clocks are put forward`() throws {
        // 2026-03-29 01:00 UTC: from 02:00 to 03:00.
        let change: Int64 = 1_774_746_000
        let zone = zone(change, from: 3_600, to: 7_200)
        func ticks(_ text: String) throws -> [Int64] {
            let schedule = try #require(CronSchedule(text))
            let job = CronJob("j", schedule, missed: .all, NewMessage([]), zone: zone)
            return job.ticks(after: change - 1_801, upTo: change + 3_600).map { ($0 - change) / 60 }
        }
        #expect(try ticks("*/15 * * * *") == [-30, -15, 0, 15, 30, 45, 60])
        #expect(try ticks("40 * * * *") == [-20, 40])
        #expect(try ticks("30 2 * * *") == [0])
    }
}
