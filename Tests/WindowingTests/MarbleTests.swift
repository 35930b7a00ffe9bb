import Testing

@testable import Windowing

/// Windows at a glance: a line of events, a line of rows.
struct MarbleTests {
    @Test func `hopping windows overlap`() {
        let hopping = stage(.hopping(size: 60_000, every: 30_000), [.count, .sum])
        #expect(
            marbles("a1@10 a2@40 b4@50 a8@95", hopping)
                == "a 1 1 -30-30 | a 2 3 0-60 | b 1 4 0-60 | a 1 2 30-90 | b 1 4 30-90"
                + " | a 1 8 60-120 | a 1 8 90-150")
    }

    @Test func `the size of hopping windows need not be a multiple of their step`() {
        let hopping = stage(.hopping(size: 50_000, every: 20_000), [.count, .sum])
        #expect(
            marbles("a1@0 a2@9 a4@19.999", hopping)
                == "a 2 3 -40-10 | a 3 7 -20-30 | a 3 7 0-50")
    }

    @Test func `who falls between windows that are shorter than their step is in none`() {
        let hopping = stage(.hopping(size: 10_000, every: 30_000), [.count])
        #expect(marbles("a@5 a@15 a@30", hopping) == "a 1 0-10 | a 1 30-40")
    }

    @Test func `sessions grow, merge and close`() {
        let sessions = stage(.session(gap: 10_000), [.count, .sum])
        #expect(
            marbles("a1@0 b2@3 a4@9 a8@30 b1@40 a1@60", sessions)
                == "b 1 2 3-13 | a 2 5 0-19 | a 1 8 30-40 | b 1 1 40-50 | a 1 1 60-70")
        #expect(
            marbles("a1@0 a2@16 a4@8 a8@40", sessions, disorder: 10_000)
                == "a 3 7 0-26 | a 1 8 40-50")
    }

    @Test func `count windows go by arrival and show their first and last time`() {
        let counted = stage(.count(size: 3), [.count, .collect(9)])
        #expect(
            marbles("a1@9 a2@4 b7@5 a3@6 a4@1 b8@2", counted)
                == "a 3 [2,3,1] 4-9 | b 2 [8,7] 2-5 | a 1 [4] 1-1")
    }

    @Test func `rolling windows give a row for every record`() {
        let rolling = stage(.rolling(range: 10_000), [.count, .sum])
        #expect(
            marbles("a1@0 a2@5 b7@6 a4@10 a8@30", rolling)
                == "a 1 1 -10-0 | a 2 3 -5-5 | b 1 7 -4-6 | a 2 6 0-10 | a 1 8 20-30")
        #expect(
            marbles("a4@10 a2@5 a1@0 a8@30", rolling, disorder: 10_000)
                == "a 1 1 -10-0 | a 2 3 -5-5 | a 2 6 0-10 | a 1 8 20-30")
        let rows = stage(.rollingRows(2), [.count, .sum])
        #expect(
            marbles("a1@0 a2@5 a4@9 a8@100", rows)
                == "a 1 1 0-0 | a 2 3 0-5 | a 2 6 5-9 | a 2 12 9-100")
    }

    @Test func `a global window ends when its key was idle for its time to live`() {
        let global = stage(.global, [.count, .sum], ttl: 10_000)
        #expect(
            marbles("a1@0 a2@9 b4@10 a8@18 a1@40", global)
                == "b 1 4 10-10 | a 3 11 0-18 | a 1 1 40-40")
        let every = stage(.global, [.count], emission: .every(5000), ttl: 100_000)
        #expect(
            marbles("a@1 a@2 a@6 b@7 b@21 b@22", every)
                == "a 3 1-6 #1 open | b 2 7-21 #1 open | a 3 1-6 #2 final | b 3 7-22 #2 final")
    }

    @Test func `a window that shows its changes counts its revisions`() {
        let update = stage(.tumbling(size: 60_000), [.count], emission: .update)
        #expect(
            marbles("a@1 a@2 b@61", update)
                == "a 1 0-60 #1 open | a 2 0-60 #2 open | b 1 60-120 #1 open"
                + " | a 2 0-60 #3 final | b 1 60-120 #2 final")
        let every = stage(.tumbling(size: 60_000), [.count], emission: .every(20_000))
        #expect(
            marbles("a@1 b@2 a@3 a@25 a@70 a@71", every)
                == "a 3 0-60 #1 open | b 1 0-60 #1 open | a 1 60-120 #1 open"
                + " | a 3 0-60 #2 final | b 1 0-60 #2 final | a 2 60-120 #2 final")
    }

    @Test func `within the allowed lateness a window that has closed is written again`() {
        let lenient = stage(.tumbling(size: 60_000), [.count], lateness: 30_000)
        #expect(
            marbles("a@1 a@61 a@62 a@2 b@3 a@91 a@92 a@4", lenient)
                == "a 1 0-60 #1 final | a 2 0-60 #2 final | b 1 0-60 #1 final"
                + " | a 4 60-120 #1 final late 1")
        let sessions = stage(.session(gap: 10_000), [.count], lateness: 30_000)
        #expect(
            marbles("a@0 b@20 b@21 a@5 b@50 b@70 a@6", sessions)
                == "a 1 0-10 #1 final | a 2 0-15 #2 final | b 2 20-31 #1 final"
                + " | b 1 50-60 #1 final | b 1 70-80 #1 final late 1")
    }

    @Test func `a filter decides what a computed field counts`() {
        var definition = stage(.tumbling(size: 60_000), [.count, .sum])
        definition.computes[0].filter = [Comparison(column: 0, .greaterOrEqual, .number(2))]
        definition.computes.append(
            ComputeDefinition("r", .ratioIf([Comparison(column: 0, .notEqual, .null)])))
        #expect(marbles("a1@1 a2@2 a3@3 a@4", definition) == "a 2 6 0.75 0-60")
    }

    @Test func `civil days have 23 to 25 hours`() throws {
        let day = CalendarPeriod(.day, zone: .utc)
        #expect(
            marbles("a@0 a@86399 a@86400", stage(.calendar(day), [.count]))
                == "a 2 0-86400 | a 1 86400-172800")
    }
}
