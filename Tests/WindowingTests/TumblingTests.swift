import TestKit
import Testing

@testable import Windowing

struct TumblingTests {
    private let minute = WindowKind.tumbling(size: 60_000)

    @Test func `a window closes when time has passed its end`() {
        let counted = stage(minute, [.count, .sum])
        #expect(
            marbles("a1@5 b2@7 a3@59.999 a4@60 a5@61", counted)
                == "a 2 4 0-60 | b 1 2 0-60 | a 2 9 60-120")
        #expect(marbles("a1@5 a4@60", counted, finishes: false) == "")
        #expect(marbles("a1@5 a4@60 a5@60", counted, finishes: false) == "a 1 1 0-60")
        #expect(marbles("a1@5 a4@65 a5@60", counted, disorder: 6000, finishes: false) == "")
    }

    @Test func `a record behind its window is late and counted once`() {
        let counted = stage(minute, [.count, .sum])
        #expect(marbles("a1@5 a2@61 a4@59 a8@62", counted) == "a 1 1 0-60 | a 2 10 60-120 late 1")
        #expect(
            marbles("a1@5 a2@61 a4@59 a8@62", counted, disorder: 2000)
                == "a 2 5 0-60 | a 2 10 60-120")
    }

    @Test func `windows are aligned to 1970 by rounding down, before it too`() {
        let counted = stage(minute, [.count])
        #expect(
            marbles("a1@-61 a1@-60 a1@-0.001 a1@0", counted)
                == "a 1 -120--60 | a 2 -60-0 | a 1 0-60")
        let offset = stage(.tumbling(size: 60_000, offset: -15_000), [.count])
        #expect(marbles("a1@-61 a1@44 a1@45", offset) == "a 1 -75--15 | a 1 -15-45 | a 1 45-105")
    }

    @Test func `the fields of a row come in the order of the contract`() {
        let definition = stage(
            minute, [.count, .average, .minimum, .maximum], keys: ["u", "n\"x"])
        let given = run(
            definition, [Event("\"a,b\",7", 1000, ["2"]), Event("\"a,b\",7", 2000, ["3"])])
        #expect(
            given.rows == [
                #"{"u":"a,b","n\"x":7,"f0":2,"f1":2.5,"f2":2,"f3":3,"#
                    + #""window_start":"1970-01-01T00:00:00.000Z","#
                    + #""window_end":"1970-01-01T00:01:00.000Z"}"#
            ])
        #expect(given.times == [59_999])
        #expect(given.watermarks == [59_998])
    }

    @Test func `keys are told apart by their JSON values`() {
        let given = run(stage(minute, [.count]), [Event("7", 0, ["1"]), Event("\"7\"", 0, ["1"])])
        #expect(given.rows.count == 2)
    }
}
