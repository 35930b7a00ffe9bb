import Engine
import Glibc
import Records
import TestKit
import Testing
import Trials

/// What looking into a pipeline shows to people; `RECORD=1` writes it anew.
@Suite struct LookTablesTests {
    private func check(_ lines: [String], _ name: String) {
        let golden = Golden(#filePath, name)
        let text = lines.joined(separator: "\n") + "\n"
        if getenv("RECORD") != nil { golden.write(text) }
        #expect(text == golden.text, "RECORD=1 accepts the new text of \(name)")
    }

    private func records(_ lines: String) throws -> [Record] {
        try lines.split(separator: "\n").map { try Record(json: String($0)) }
    }

    @Test func `top looks as recorded`() throws {
        let lines = try records(
            """
            {"what":"pipeline","name":"videos","rule_set":"39ad746a6f45","records":5700,"per_second":1997.0,"dead_letters":171,"commits":37,"state_keys":0,"seconds":1.002}
            {"what":"stage","name":"check","records":2000,"per_second":1997.0,"errors":20,"dropped":0,"calls":0,"p50_us":null,"p99_us":null,"max_us":null,"budget_ms":100.0,"p99_of_budget":null,"max_of_budget":null,"cpu":0.0,"hottest":null,"hottest_share":null}
            {"what":"stage","name":"shape","records":1980,"per_second":1977.0,"errors":40,"dropped":200,"calls":1980,"p50_us":7.55,"p99_us":44.03,"max_us":60303.1,"budget_ms":50.0,"p99_of_budget":0.00088,"max_of_budget":1.20606,"cpu":0.0166,"hottest":"rules/lib/geo.lua:5","hottest_share":0.754}
            {"what":"sink","name":"shape","records":2849,"per_second":1537.0}
            """)
        check(LookTables.top(lines), "top.txt")
        #expect(LookTables.top([]).isEmpty)
    }

    @Test func `profile looks as recorded`() throws {
        let lines = try records(
            """
            {"what":"profile","stage":"shape","seconds":10.001,"calls":3861,"cpu_seconds":0.078367,"samples":7340,"ticks":20}
            {"what":"line","place":"rules/lib/geo.lua:5","samples":5426,"share":0.7392,"ticks":9,"cpu_share":0.45,"source":"sum = sum + i * i % 7"}
            {"what":"line","place":"rules/shape.lua:6","samples":1900,"share":0.2589,"ticks":11,"cpu_share":0.55,"source":"r.far = geo.far(300)"}
            {"what":"line","place":"rules/shape.lua:8","samples":14,"share":0.0019,"ticks":0,"cpu_share":0.0,"source":"end"}
            """)
        check(LookTables.profile(lines), "profile.txt")
        check(LookTables.profile([lines[0]]), "profile-empty.txt")
    }
}
