import Foundation
import TestKit
import Testing

/// Outputs that are renamed, deleted and truncated under a running pipeline, by hand and by
/// Debian's logrotate.
@Suite(.timeLimit(.minutes(30))) struct SinkRotationTests {
    private let folder = TemporaryFolder()

    private func shell(_ script: String) throws {
        let run = try Tool.run("-c", "cd '\(folder.path)' && \(script)", executable: "/bin/sh")
        #expect(run.status == 0, "\(run.errors)")
    }

    private func start(
        _ name: String, fresh: Bool, workers: Int = 1, more: String = ""
    ) throws -> BackgroundRun {
        folder.writePipeline(path: "out/\(name)", follow: true, more: more)
        folder.write("{\"n\":0}\n", to: "in.jsonl")
        let live = try BackgroundRun(
            folder, "--workers", "\(workers)", fresh ? "--fresh" : "--drain")
        try live.wait("the first row") { try folder.numbers(in: "out", name).last == 0 }
        return live
    }

    /// Appends numbers and waits until all of them have come.
    private func pass(
        _ live: BackgroundRun, _ numbers: ClosedRange<Int>, _ name: String
    ) throws {
        try live.append(numbers)
        try live.wait("row \(numbers.upperBound)") {
            (try? folder.numbers(in: "out", name))?.last == numbers.upperBound
        }
    }

    @Test(arguments: ["rename", "rename and create", "delete"], [false, true])
    func `a file that is gone is made anew within a second`(how: String, fresh: Bool) throws {
        for workers in [1, 2] {
            try? FileManager.default.removeItem(atPath: folder("out"))
            try? FileManager.default.removeItem(atPath: folder("data"))
            let live = try start("o.jsonl", fresh: fresh, workers: workers)
            try pass(live, 1...5, "o.jsonl")
            let old = folder.inode("out/o.jsonl")
            switch how {
            case "rename": try shell("mv out/o.jsonl out/o.jsonl.1")
            case "delete": try shell("rm out/o.jsonl")
            default: try shell("mv out/o.jsonl out/o.jsonl.1 && : > out/o.jsonl")
            }
            // No row has to come for it.
            try live.wait("the new file", seconds: 1) {
                folder.inode("out/o.jsonl").map { $0 != old } ?? false
                    && live.errors.contains("rows go on in a new file")
            }
            try pass(live, 6...9, "o.jsonl")
            #expect(folder.text("out/o.jsonl").hasPrefix("{\"n\":6}\n"))
            let what = how == "delete" ? "deleted" : "renamed"
            #expect(live.errors.contains("out/o.jsonl: was \(what)"), "\(live.errors)")
            #expect(live.stop() == 0)
            let first = how == "delete" ? 6 : 0
            #expect(try folder.numbers(in: "out", "o.jsonl") == Array(first...9))
            guard !fresh else { continue }
            try live.append(10...10)
            folder.writePipeline(path: "out/o.jsonl")
            #expect(try Tool.run("run", folder.path, "--once").status == 0)
            #expect(try folder.numbers(in: "out", "o.jsonl") == Array(first...10))
        }
    }

    @Test(arguments: ["o.jsonl", "o.csv", "o.jsonl.gz"], [false, true])
    func `a file that was truncated is appended to`(name: String, fresh: Bool) throws {
        let live = try start("plain.jsonl", fresh: fresh)
        #expect(live.stop() == 0)
        try? FileManager.default.removeItem(atPath: folder("data"))
        folder.writePipeline(path: "out/\(name)", follow: true)
        let run = try BackgroundRun(folder, fresh ? "--fresh" : "--drain")
        try run.append(1...5)
        try run.wait("rows") { folder.read("out/\(name)")?.isEmpty == false }
        try run.wait("row 5") { try rows(name).last == 5 }
        try shell(": > out/\(name)")
        try run.wait("the log") { run.errors.contains("out/\(name): was truncated") }
        try run.append(6...8)
        try run.wait("row 8") { try rows(name).last == 8 }
        #expect(run.stop() == 0)
        #expect(try rows(name) == [6, 7, 8])
        let bytes = folder.read("out/\(name)") ?? []
        if !name.hasSuffix("gz") { #expect(!bytes.contains(0)) }
        if name.hasSuffix("csv") { #expect(folder.text("out/\(name)").hasPrefix("n\n6\n")) }
    }

    @Test func `a file that was cut within a row goes on with a row of its own`() throws {
        let live = try start("o.jsonl", fresh: false)
        try pass(live, 1...5, "o.jsonl")
        try shell("truncate -s 12 out/o.jsonl")
        try live.wait("the log") { live.errors.contains("was truncated") }
        try live.append(6...6)
        try live.wait("row 6") { folder.text("out/o.jsonl").hasSuffix("{\"n\":6}\n") }
        #expect(live.stop() == 0)
        #expect(folder.text("out/o.jsonl") == "{\"n\":0}\n{\"n\"\n{\"n\":6}\n")
    }

    @Test func `what somebody else appends meanwhile is kept, and so is each row`() throws {
        let live = try start("o.jsonl", fresh: false)
        try shell("echo '{\"n\":100}' >> out/o.jsonl")
        try pass(live, 101...102, "o.jsonl")
        #expect(live.stop() == 0)
        folder.writePipeline(path: "out/o.jsonl")
        try live.append(103...103)
        #expect(try Tool.run("run", folder.path, "--once").status == 0)
        #expect(try folder.numbers(in: "out", "o.jsonl") == [0, 100, 101, 102, 103])
    }

    @Test func `a file with something in it that takes the place is left alone`() throws {
        let live = try start("o.jsonl", fresh: false)
        folder.write("mine\n", to: "new")
        try shell("mv out/o.jsonl old && mv new out/o.jsonl")
        #expect(live.waitForEnd() == 1)
        #expect(live.errors.contains("out/o.jsonl: was replaced by a file that holds something"))
        #expect(folder.text("out/o.jsonl") == "mine\n")
        #expect(try folder.numbers(in: ".", "old") == [0])
    }

    /// The numbers of a file in their order; a header of CSV counts for nothing.
    private func rows(_ name: String) throws -> [Int] {
        let read = try Tool.run(
            "-c", "cat '\(folder("out/" + name))' | (gzip -dcf || true)", executable: "/bin/sh")
        return read.output.split(separator: "\n").compactMap { Int($0.filter(\.isNumber)) }
    }

    @Test(arguments: [false, true])
    func `SIGHUP loads rules again and ends nothing`(fresh: Bool) throws {
        folder.write(
            """
            source: {file: {path: in.jsonl, follow: true}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out/o.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write("function process(r) r.v = 1 end", to: "rules/shape.lua")
        folder.write("{\"n\":1}\n", to: "in.jsonl")
        let live = try BackgroundRun(folder, fresh ? "--fresh" : "--drain")
        try live.wait("a row") { folder.text("out/o.jsonl").hasSuffix("\n") }
        live.signal(SIGHUP)
        try live.wait("the answer") { live.errors.contains("SIGHUP: the rules are unchanged") }
        folder.write("function process(r) r.v = 2 end", to: "rules/shape.lua")
        try shell("mv out/o.jsonl out/o.jsonl.1")
        live.signal(SIGHUP)
        try live.wait("the new rules") { live.errors.contains("is active") }
        try live.append(2...2)
        try live.wait("the next row") { folder.text("out/o.jsonl") == "{\"n\":2,\"v\":2}\n" }
        folder.write("function process(r) retrun end", to: "rules/shape.lua")
        live.signal(SIGHUP)
        try live.wait("the refusal") { live.errors.contains("SIGHUP: refused at the step compile") }
        #expect(live.stop() == 0)
        #expect(folder.text("out/o.jsonl.1") == "{\"n\":1,\"v\":1}\n")
    }

    private static let logrotate: String? = {
        let places = ["/usr/sbin/logrotate", "/usr/bin/logrotate", "/sbin/logrotate"]
        return places.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    @Test(
        .enabled(if: logrotate != nil, "logrotate is not installed"),
        arguments: ["create", "create\ncompress", "nocreate\ndelaycompress\ncompress"],
        [(name: "o.jsonl", fresh: false), ("o.jsonl", true), ("o.jsonl.zst", false)])
    func `logrotate loses and repeats no row`(
        settings: String, sink: (name: String, fresh: Bool)
    ) throws {
        let logrotate = try #require(Self.logrotate)
        let live = try start(sink.name, fresh: sink.fresh)
        try shell("chmod 755 . out")
        folder.write(
            "\(folder("out"))/\(sink.name) {\nsu root root\nrotate 50\n\(settings)\n}\n",
            to: "rotate.conf")
        if getuid() != 0 {
            folder.write(
                folder.text("rotate.conf").replacing("su root root\n", with: ""), to: "rotate.conf")
        }
        try shell("chmod 644 rotate.conf")
        var last = 0
        for _ in 1...8 {
            try live.append((last + 1)...(last + 500))
            last += 500
            try live.wait("the file") { folder.inode("out/\(sink.name)") != nil }
            // Rows come while it is at work.
            let outcome = try Tool.run(
                "-f", "-s", folder("state"), folder("rotate.conf"), executable: logrotate)
            #expect(outcome.status == 0, "\(outcome.errors)")
            try live.append((last + 1)...(last + 100))
            last += 100
        }
        try live.wait("all rows") {
            (try? folder.numbers(in: "out", sink.name))?.count ?? 0 >= last + 1
        }
        #expect(live.stop() == 0)
        #expect(try folder.numbers(in: "out", sink.name) == Array(0...last), "\(live.errors)")
    }

    @Test(
        .enabled(if: logrotate != nil, "logrotate is not installed"),
        arguments: ["copytruncate", "copytruncate\ncompress"], ["o.jsonl", "o.jsonl.gz"])
    func `logrotate may copy and truncate`(settings: String, name: String) throws {
        let logrotate = try #require(Self.logrotate)
        let live = try start(name, fresh: false)
        try shell("chmod 755 . out")
        let user = getuid() == 0 ? "su root root\n" : ""
        folder.write(
            "\(folder("out"))/\(name) {\n\(user)rotate 50\n\(settings)\n}\n", to: "rotate.conf")
        try shell("chmod 644 rotate.conf")
        var last = 0
        for _ in 1...5 {
            // What comes between copying and truncating is lost with any program, so none does.
            try live.append((last + 1)...(last + 200))
            last += 200
            try live.wait("rows") {
                (try? folder.numbers(in: "out", name))?.last == last
            }
            let outcome = try Tool.run(
                "-f", "-s", folder("state"), folder("rotate.conf"), executable: logrotate)
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        #expect(live.stop() == 0)
        #expect(try folder.numbers(in: "out", name) == Array(0...last), "\(live.errors)")
    }
}
