import Foundation
import TestKit
import Testing

/// Outputs of every form over kills: each row is there once, whatever was going on.
@Suite(.timeLimit(.minutes(30))) struct SinkKillTests {
    private static let count = 60_000
    private let folder = TemporaryFolder()

    private func fill() {
        var text = ""
        for number in 0..<Self.count {
            let second = number / 10
            let clock = [second / 60 % 20 + 2, second % 60, number % 60].map { padded($0, 2) }
            let time = "2025-03-\(padded(1 + second / 1200, 2))T\(clock.joined(separator: ":"))Z"
            text += "{\"n\":\(number),\"at\":\"\(time)\",\"text\":\"a, \\\"b\\\" \(number % 7)\"}\n"
        }
        folder.write(text, to: "in.jsonl")
    }

    private func write(_ sink: String) {
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at, out_of_orderness: 60s}
            sinks: [{from: source, file: \(sink)}]
            commit: {every: 3ms, records: 2000}
            """, to: "pipeline.yaml")
    }

    /// The rows of all files in the order of their names, and the names of rolled ones.
    private func outcome() throws -> (rows: [Substring], names: [Substring]) {
        let script = """
            cd "$0" && for f in $(find . -type f | sort); do case $f in
            *.gz) gzip -dc $f ;; *.zst) zstd -qdc $f ;; *) cat $f ;; esac; done
            """
        let read = try Tool.run(
            arguments: ["-c", script, folder("out")], executable: "/bin/sh")
        #expect(read.status == 0, "\(read.errors)")
        let names = try Tool.run(
            "-c", "cd '\(folder("out"))' && find . -type f | sort", executable: "/bin/sh")
        return (read.output.split(separator: "\n"), names.output.split(separator: "\n"))
    }

    private func runWithKills(_ random: inout SeededRandom, workers: Int) throws -> Int {
        var kills = 0
        // Halved until it falls into a run, however fast the machine is.
        var span = 0.15
        while true {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Tool.binary)
            process.arguments = ["run", folder.path, "--once", "--workers", "\(workers)"]
            process.standardError = FileHandle(forWritingAtPath: folder("errors"))
            try process.run()
            if kills < 12 {
                let deadline = Date() + Double.random(in: span / 8..<span, using: &random)
                while process.isRunning, Date() < deadline { sched_yield() }
                if process.isRunning {
                    kill(process.processIdentifier, SIGKILL)
                    process.waitUntilExit()
                    kills += 1
                    continue
                }
            }
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(folder.text("errors"))")
            guard kills == 0, span > 0.001 else { return kills }
            span /= 2
            for name in ["data", "out"] {
                try FileManager.default.removeItem(atPath: folder(name))
            }
        }
    }

    @Test(
        arguments: [
            "{path: out/o.jsonl.gz}", "{path: out/o.jsonl.zst}", "{path: out/o.csv}",
            "{path: out/o.csv.gz, columns: [text, n], rest: other}",
            "{path: \"out/%Y/%m/%d/part-%n.jsonl\", roll: {size: 20KiB, every: 1h}}",
            "{path: \"out/%m-%d/%H-%n.csv\", roll: {every: 20m}}",
            "{path: \"out/%n.jsonl.zst\", roll: {size: 4KiB}}",
        ], [1, 2])
    func `killed again and again, every form has each row once`(sink: String, workers: Int) throws {
        var random = SeededRandom(seed: UInt64(sink.utf8.count * 10 + workers))
        fill()
        write(sink)
        let whole = try Tool.run("run", folder.path, "--once", "--data", folder("whole"))
        #expect(whole.status == 0, "\(whole.errors)")
        let expected = try outcome()
        #expect(expected.rows.count >= Self.count)
        try FileManager.default.removeItem(atPath: folder("out"))
        let kills = try runWithKills(&random, workers: workers)
        #expect(kills > 0, "the test must kill something")
        let found = try outcome()
        #expect(found.names.allSatisfy { !$0.hasSuffix(".partial") })
        let isPackedRoll = sink.contains("zst\", roll")
        if isPackedRoll {
            // How well rows pack follows from the commits, and so does how many fill a file.
            #expect(found.rows == expected.rows)
        } else {
            #expect(found.names == expected.names, "\(random)")
            let isSame = found.rows == expected.rows
            #expect(isSame, "\(random): \(found.rows.count) rows, not \(expected.rows.count)")
        }
    }

    @Test(
        arguments: [
            "{path: out/o.jsonl.gz}", "{path: out/o.csv}",
            "{path: \"out/%n.jsonl\", roll: {size: 4KiB}}",
        ], ["at_least_once", "at_most_once"])
    func `weaker promises hold for every form`(sink: String, delivery: String) throws {
        var random = SeededRandom(seed: UInt64(sink.utf8.count + delivery.utf8.count))
        fill()
        write(sink)
        folder.write(
            folder.text("pipeline.yaml") + "\ndelivery: \(delivery)\n", to: "pipeline.yaml")
        let kills = try runWithKills(&random, workers: Int.random(in: 1...2, using: &random))
        #expect(kills > 0, "the test must kill something")
        let rows = try outcome().rows.filter { $0 != "n,at,text" }
        if delivery == "at_least_once" {
            #expect(Set(rows).count == Self.count, "none is missing")
        } else {
            #expect(Set(rows).count == rows.count, "none comes twice")
        }
    }

    @Test(arguments: 1...6)
    func `rotated and killed at any moment, each row is there once`(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let name = seed.isMultiple(of: 3) ? "o.jsonl.gz" : "o.jsonl"
        folder.writePipeline(path: "out/\(name)", follow: true)
        folder.write("", to: "in.jsonl")
        var last = 0
        var rotated = 0
        for _ in 1...5 {
            let live = try BackgroundRun(
                folder, "--workers", "\(Int.random(in: 1...2, using: &random))")
            try live.wait("the file") { folder.inode("out/\(name)") != nil }
            for _ in 1...3 {
                let more = Int.random(in: 1...3000, using: &random)
                try live.append((last + 1)...(last + more))
                last += more
                rotated += 1
                let create = Bool.random(using: &random) ? " && touch \(name)" : ""
                _ = try Tool.run(
                    "-c",
                    "cd '\(folder("out"))' && mv \(name) \(name.dropLast(3))-\(rotated)."
                        + "\(name.split(separator: ".").last ?? "")\(create)",
                    executable: "/bin/sh")
            }
            let deadline = Date() + Double.random(in: 0..<0.3, using: &random)
            while Date() < deadline { sched_yield() }
            live.kill()
        }
        folder.writePipeline(path: "out/\(name)")
        let end = try Tool.run("run", folder.path, "--once")
        #expect(end.status == 0, "\(random): \(end.errors)")
        let found = try folder.numbers(in: "out", "o")
        #expect(found == Array(1...last), "\(random): \(found.count) rows, not \(last)")
    }

    @Test(arguments: ["o.jsonl", "o.csv", "o.jsonl.zst"])
    func `truncated and killed, what came behind is there once`(name: String) throws {
        folder.writePipeline(path: "out/\(name)", follow: true)
        folder.write("", to: "in.jsonl")
        let live = try BackgroundRun(folder)
        try live.append(1...50)
        try live.wait("rows") { folder.read("out/\(name)")?.isEmpty == false }
        _ = try Tool.run("-c", ": > '\(folder("out/" + name))'", executable: "/bin/sh")
        try live.wait("the log") { live.errors.contains("was truncated") }
        try live.append(51...60)
        try live.wait("rows") { folder.read("out/\(name)")?.isEmpty == false }
        live.kill()
        folder.writePipeline(path: "out/\(name)")
        try live.append(61...61)
        let end = try Tool.run("run", folder.path, "--once")
        #expect(end.status == 0, "\(end.errors)")
        let read = try Tool.run(
            "-c", "cat '\(folder("out/" + name))' | (zstd -qdcf || cat)", executable: "/bin/sh")
        let numbers = read.output.split(separator: "\n").compactMap { Int($0.filter(\.isNumber)) }
        #expect(numbers.suffix(11) == Array(51...61) && numbers.count <= 61)
        #expect(Set(numbers).count == numbers.count)
    }
}
