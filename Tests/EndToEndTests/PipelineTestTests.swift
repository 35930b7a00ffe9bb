import Foundation
import Records
import TestKit
import Testing

/// `tests/*.yaml`, which run the whole folder, as a user runs them.
@Suite struct PipelineTestTests {
    private func folder(_ tests: String, time: String = "{field: at}") -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            sources:
              orders: {file: {path: "in/*.csv"}}
              visits: {file: {path: "in/*.jsonl"}}
            time: \(time)
            lookups: {users: {file: users.csv, key: id}}
            stages:
              - {name: shape, transform: rules/shape.lua}
              - name: hourly
                from: shape
                aggregate: {key: region, window: {tumbling: 1h}, compute: {total: sum(price), n: count}}
            sinks:
              - {name: totals, from: hourly, file: {path: out/totals.jsonl}}
              - {name: premium, from: shape.premium, file: {path: out/premium.jsonl}}
              - {name: late, from: hourly.late, null: {}}

            """, to: "pipeline.yaml")
        folder.write("id,region\nu1,eu\n", to: "users.csv")
        folder.write(
            """
            function process(r)
              r.region = lookup("users", r.user, "region") or "none"
              r.price = r.price + 0
              r.seen = now()
              if r.tier == "premium" then return route("premium") end
            end

            """, to: "rules/shape.lua")
        folder.write("at,user,price\n2026-11-23T10:00:00Z,u1,2\n", to: "tests/orders.csv")
        folder.write(tests, to: "tests/whole.yaml")
        return folder
    }

    private static let sound = """
        now: 2026-11-23T12:00:00Z
        tests:
          - name: windows add up over both sources
            in:
              orders: [{at: "2026-11-23T10:00:00Z", user: u1, price: 2}]
              visits:
                - {at: "2026-11-23T10:30:00Z", user: u1, price: 3}
                - {at: "2026-11-23T11:30:00Z", user: u2, price: 1}
            out:
              totals:
                - {region: eu, total: 5, n: 2, window_start: "2026-11-23T10:00:00.000Z", window_end: "2026-11-23T11:00:00.000Z"}
                - {region: none, total: 1, n: 1, window_start: "2026-11-23T11:00:00.000Z", window_end: "2026-11-23T12:00:00.000Z"}
              premium: []
          - name: a route has its own sink, and the clock stands
            in: {visits: [{at: "2026-11-23T10:30:00Z", user: u1, price: 3, tier: premium}]}
            out: {premium: [{at: "2026-11-23T10:30:00Z", user: u1, price: 3, tier: premium, region: eu, seen: 1795435200000}]}
            contains: {premium: {seen: 1795435200000}}
          - name: until leaves later windows open
            in: {visits: [{at: "2026-11-23T10:30:00Z", user: u1, price: 3}, {at: "2026-11-23T11:30:00Z", user: u1, price: 3}]}
            until: 2026-11-23T11:00:00Z
            out: {totals: {contains: [{n: 1}]}}
          - name: a file is read as its source reads it
            in: {orders: {file: orders.csv}}
            contains: {totals: [{total: 2}]}
          - name: lookups of the test
            lookups: {users: [{id: u9, region: us}]}
            in: {orders: [{at: "2026-11-23T10:00:00Z", user: u9, price: 2}]}
            out: {totals: {contains: {region: us}}}
          - name: a letter
            in: {orders: [{at: "2026-11-23T10:00:00Z", user: u1}, {user: u1}]}
            dead: [{stage: shape, reason: "price"}, {reason: at}]
            out: {totals: []}
          - {name: so many letters, in: {orders: [{user: u1}]}, dead: 1}

        """

    @Test func `records go through windows, routes, lookups and files`() throws {
        let folder = folder(Self.sound)
        let run = try Tool.run("test", folder.path)
        #expect(run.status == 0, "\(run.output)\(run.errors)")
        #expect(run.output == "7 passed\n")
        #expect(!FileManager.default.fileExists(atPath: folder("out")), "sinks stay closed")
        let one = try Tool.run("test", folder.path, "-k", "a file")
        #expect(one.output == "1 passed, 6 left out\n")
        let rows = try Tool.run("test", folder.path, "--format", "json").output
            .split(separator: "\n").map { try Record(json: String($0)) }
        #expect(rows.map { $0["file"]?.text } == Array(repeating: "tests/whole.yaml", count: 7))
        #expect(rows.first?["rule"]?.text == "pipeline.yaml")
    }

    private func check(_ text: String, _ name: String) throws {
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(text == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    @Test func `failing pipeline tests look as recorded`() throws {
        let folder = folder(
            """
            tests:
              - name: another total
                in: {orders: [{at: "2026-11-23T10:00:00Z", user: u1, price: 2}]}
                out: {totals: {contains: {total: 3}}}
              - name: one row too many
                in: {orders: [{at: "2026-11-23T10:00:00Z", user: u1, price: 2}]}
                out: {totals: []}
              - name: a letter that nobody expects
                in: {orders: [{at: "2026-11-23T10:00:00Z", user: u1}]}
                out: {totals: []}
              - name: no letter
                in: {orders: [{at: "2026-11-23T10:00:00Z", user: u1, price: 1}]}
                dead: [{reason: nil value}]

            """)
        let run = try Tool.run("test", folder.path, "--junit", folder("junit.xml"))
        #expect(run.status == 1)
        #expect(run.errors == "")
        try check(run.output, "pipeline-test-failures.txt")
        #expect(folder.text("junit.xml").contains("tests=\"4\" failures=\"4\""))
    }

    @Test func `what is wrong in a file of pipeline tests is one screen`() throws {
        let folder = folder(
            """
            tests:
              - {name: a, in: {order: []}, out: {total: []}}
              - {name: b, in: [], otu: {}, dead: some}
              - {name: c, in: {orders: missing.csv}}

            """)
        let run = try Tool.run("test", folder.path)
        #expect(run.status == 2)
        try check(run.errors, "pipeline-test-broken.txt")
        let lint = try Tool.run("lint", folder.path)
        #expect(lint.errors.contains("tests/whole.yaml:2:20"), "\(lint)")
    }

    @Test func `records of the future and silence are no matter of the wall clock`() throws {
        let tests = """
            tests:
              - name: far ahead
                in: {orders: [{at: "2999-01-01T00:00:00Z", user: u1, price: 2}]}
                contains: {totals: {n: 1}}
              - name: ahead of its clock
                now: 2026-11-23T10:00:00Z
                in: {orders: [{at: "2026-11-23T12:00:00Z", user: u1, price: 2}]}
                dead: 1

            """
        let time = "{field: at, max_future_skew: 1h, idle_after: 1ms}"
        let folder = folder(tests, time: time)
        let run = try Tool.run("test", folder.path)
        #expect(run.status == 0, "\(run.output)\(run.errors)")
    }
}
