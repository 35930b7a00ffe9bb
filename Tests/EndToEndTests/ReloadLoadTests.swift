import Foundation
import Records
import TestKit
import Testing

/// Reloads of changing rules under load; `scripts/reload` is the large version of it.
@Suite(.timeLimit(.minutes(30))) struct ReloadLoadTests {
    private func rule(_ name: String, _ version: Int) -> String {
        """
        function process(r)
          r.\(name) = \(version)
          if r.i % 10 == 3 then return drop("three") end
          if "\(name)" == "second" and r.i % 10 == 7 then error("seven") end
        end
        """
    }

    @Test(arguments: [1, 2])
    func `each record is of one version, and the figures add up`(workers: Int) throws {
        let running = try RunningPipeline(
            """
            reload: {watch: false, shadow: 1000, probation: {records: 100, error_rate: 100%}}
            commit: {every: 20ms, records: 1000}
            """, workers: workers, stages: ["first", "second"],
            files: ["rules/first.lua": rule("first", 0), "rules/second.lua": rule("second", 0)])
        var next = 0
        var reloads: [(total: Double, pause: Double)] = []
        for version in 1...12 {
            try running.add(1500, from: next)
            next += 1500
            running.folder.write(rule("first", version), to: "rules/first.lua")
            running.folder.write(rule("second", version), to: "rules/second.lua")
            let reload = try running.tool("reload")
            #expect(reload.status == 0, "\(reload.errors)")
            try running.add(500, from: next)
            next += 500
            let answer = try Record(json: reload.output.trimmingCharacters(in: .newlines))
            reloads.append(
                (number(answer["milliseconds"]), number(answer["longest_pause_milliseconds"])))
        }
        let expected = next - next / 10 * 2
        #expect(running.wait { running.rows.count >= expected })
        let summary = try running.stop()
        let rows = running.rows
        #expect(summary["read"] == .integer(Int64(next)))
        #expect(rows.count == expected && summary["dead_letters"] == .integer(Int64(next / 10)))
        #expect(summary["dropped"] == ["three": .integer(Int64(next / 10))])
        #expect(rows.allSatisfy { $0["first"] == $0["second"] }, "a record of two versions")
        var newest: [String: Int64] = [:]
        for row in rows {
            guard case .integer(let version)? = row["first"], let user = row["user"]?.text else {
                return #expect(Bool(false))
            }
            #expect(version >= newest[user] ?? 0, "a version came back")
            newest[user] = version
        }
        #expect(Set(rows.map { $0["first"]?.text }).count > 5)
        let pauses = reloads.map(\.pause).sorted()
        print("reloads in ms: \(reloads.map(\.total)), pauses: \(pauses)")
        // Others share the machine, so the middle one counts.
        #expect(pauses[pauses.count / 2] <= 20)
    }

    private func number(_ value: Value?) -> Double {
        switch value {
        case .number(let number)?: number
        case .integer(let number)?: Double(number)
        default: .infinity
        }
    }
}
