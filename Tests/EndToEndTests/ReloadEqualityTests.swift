import Foundation
import Records
import TestKit
import Testing

/// Rules that are replaced in mid-stream give the same rows for any number of workers, before,
/// in and behind windows.
@Suite(.timeLimit(.minutes(30))) struct ReloadEqualityTests {
    private func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl, follow: true}}
            time: {field: at}
            key: user
            reload: {watch: false, shadow: 0}
            stages:
              - {name: shape, transform: rules/shape.lua}
              - name: totals
                from: shape
                aggregate:
                  key: [user, version]
                  window: {tumbling: 10s}
                  compute: {n: count, most: max(n)}
              - {name: behind, from: totals, transform: rules/behind.lua}
            sinks:
              - {from: shape, file: {path: out/shape.jsonl}}
              - {from: behind, file: {path: out/behind.jsonl}}
            """, to: "pipeline.yaml")
        return folder
    }

    /// A version that counts where the one before it has stopped.
    private func write(version: Int, timers: Bool, to folder: TemporaryFolder) {
        let set = timers ? "state:timer(r.user, meta.time + 3500)" : ""
        folder.write(
            """
            function process(r, meta)
              r.version = \(version)
              r.n = state:incr("n." .. r.user)
              \(set)
            end
            function on_timer(name, at)
              emit({user = name, timer = true, at = time.format(at), version = \(version)})
            end
            """, to: "rules/shape.lua")
        folder.write(
            """
            function process(r, meta)
              r.behind = \(version)
              r.nth = state:incr("nth." .. r.user)
              \(set)
            end
            function on_timer(name, at)
              emit({user = name, timer = true, at = time.format(at), behind = \(version)})
            end
            """, to: "rules/behind.lua")
    }

    /// Sixty records, one a second, of seven users.
    private func part(_ index: Int) -> [String] {
        (index * 60..<index * 60 + 60).map {
            "{\"i\":\($0),\"user\":\"u\($0 % 7)\",\"at\":\"\(EventTime.text($0 * 1000))\"}"
        }
    }

    private func run(workers: Int, timers: Bool = false) throws -> PipelineOutcome {
        let folder = folder()
        write(version: 1, timers: timers, to: folder)
        let running = try FollowedRun(folder, workers: workers, "--drain")
        for index in 0..<4 {
            if index == 1 || index == 2 {
                write(version: index + 1, timers: timers, to: folder)
                let reload = try running.tool("reload")
                #expect(reload.status == 0, "\(reload.errors)")
            }
            if index == 3 {
                let first = try running.tool("versions").output.split(separator: "\n").first
                let name = try Record(json: String(first ?? ""))["version"]?.text
                let rollback = try running.tool("rollback", name ?? "", "--force")
                #expect(rollback.status == 0, "\(rollback.errors)")
            }
            try running.append(part(index))
            try running.wait("part \(index)") {
                let records = running.rows("shape").count { $0.contains(#""i":"#) }
                return records == 60 * (index + 1)
            }
        }
        return try running.stop()
    }

    @Test func `each part is of its own version, and counts go on`() throws {
        let one = try run(workers: 1)
        for line in one["shape"] {
            let row = try Record(json: line)
            let index = try #require(row["i"]?.double.map { Int64($0) })
            #expect(row["version"] == .integer([1, 2, 3, 1][Int(index) / 60]))
            #expect(row["n"] == .integer(index / 7 + 1))
        }
        #expect(one["shape"].count == 240)
        for workers in [2, 4] {
            let several = try run(workers: workers)
            #expect(several["shape"].sorted() == one["shape"].sorted(), "\(workers) workers")
            #expect(several["behind"] == one["behind"], "\(workers) workers")
            for name in ["read", "aggregated", "window_rows", "late", "state_keys", "rule_set"] {
                #expect(several.summary[name] == one.summary[name], "\(name), \(workers) workers")
            }
        }
    }

    @Test func `rows stand in the order of reading, and timers at the version of their time`()
        throws
    {
        let one = try run(workers: 1, timers: true)
        #expect(one["shape"].count { $0.contains(#""timer":true"#) } > 200)
        #expect(one["behind"].count { $0.contains(#""timer":true"#) } > 20)
        for workers in [2, 4] {
            let several = try run(workers: workers, timers: true)
            #expect(several.differences(from: one) == [], "\(workers) workers")
        }
    }
}
