import Foundation
import TestKit
import Testing

/// What is not a pipeline's own is never changed by it.
@Suite(.timeLimit(.minutes(30))) struct SinkOwnerTests {
    private let folder = TemporaryFolder()

    private func run(_ arguments: String...) throws -> Tool.Outcome {
        try Tool.run(arguments: ["run", folder.path] + arguments)
    }

    private func fill(_ numbers: ClosedRange<Int>) {
        let lines = numbers.map { "{\"n\":\($0)}\n" }.joined()
        folder.write(folder.text("in.jsonl") + lines, to: "in.jsonl")
    }

    private func expectRefusal(_ run: Tool.Outcome, _ words: String...) {
        #expect(run.status == 1 && run.complaints.count == 1, "\(run.errors)")
        for word in words { #expect(run.errors.contains(word), "\(run.errors)") }
    }

    @Test(arguments: [1, 2])
    func `rules that make rows longer, and a run without the store, tear no row`(
        workers: Int
    ) throws {
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out/o.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/shape.lua")
        fill(1...3)
        #expect(try run("--once", "--workers", "\(workers)").status == 0)
        let first = folder.text("out/o.jsonl")
        folder.write("function process(r) r.text = 'longer than before' end", to: "rules/shape.lua")
        let fresh = try run("--once", "--fresh", "--workers", "\(workers)")
        expectRefusal(fresh, "out/o.jsonl: holds 24 bytes", "--overwrite", "append: true", "move")
        #expect(folder.text("out/o.jsonl") == first)
        fill(4...4)
        #expect(try run("--once", "--workers", "\(workers)").status == 0)
        #expect(
            folder.text("out/o.jsonl")
                == first + "{\"n\":4,\"text\":\"longer than before\"}\n")
        #expect(try run("--once", "--fresh", "--overwrite").status == 0)
        let rows = folder.text("out/o.jsonl").split(separator: "\n")
        #expect(rows.count == 4 && rows.allSatisfy { $0.hasSuffix("before\"}") })
        // The store's own rows are not there any more.
        fill(5...5)
        expectRefusal(try run("--once"), "not the file as earlier runs have left it", "move it")
        #expect(folder.text("out/o.jsonl").split(separator: "\n") == rows)
    }

    @Test(arguments: ["o.jsonl", "o.csv", "o.jsonl.gz", "part-%n.jsonl"])
    func `a run without the store beside a live one changes nothing`(name: String) throws {
        let roll = name.contains("%n") ? ", roll: {size: 1KiB}" : ""
        folder.writePipeline(path: "out/\(name)", options: roll, follow: true)
        fill(1...3)
        let live = try BackgroundRun(folder)
        let prefix = name.hasPrefix("o") ? "o." : "part"
        try live.wait("rows") {
            (try? FileManager.default.contentsOfDirectory(atPath: folder("out")))?
                .contains { folder.read("out/\($0)")?.isEmpty == false } ?? false
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder("out"))
        let before = files.map { folder.read("out/\($0)") }
        let inodes = files.map { folder.inode("out/\($0)") }
        for arguments in [["--fresh"], ["--fresh", "--overwrite"], ["--data", folder("other")]] {
            let other = try Tool.run(arguments: ["run", folder.path, "--once"] + arguments)
            expectRefusal(other, "error: out/")
            if arguments.contains("--overwrite") {
                #expect(other.errors.contains("another pipeline writes to it"))
            }
        }
        #expect(files.map { folder.read("out/\($0)") } == before)
        #expect(files.map { folder.inode("out/\($0)") } == inodes)
        try live.append(4...4)
        #expect(
            try { () in
                try live.wait("the next row") { try numbers(prefix).contains(4) }
                return live.stop()
            }() == 0)
    }

    private func numbers(_ prefix: String) throws -> [Int] {
        let listing = try Tool.run(
            "-c",
            "cd '\(folder("out"))' && for f in \(prefix)*; do case $f in *.gz) gzip -dc $f ;; "
                + "*) cat $f ;; esac; done", executable: "/bin/sh")
        return listing.output.split(separator: "\n").compactMap { Int($0.filter(\.isNumber)) }
    }

    @Test(arguments: [false, true])
    func `of two pipelines with one output the second is refused`(isFresh: Bool) throws {
        let shared = folder("shared.jsonl")
        var folders: [TemporaryFolder] = []
        for _ in 0..<2 {
            let one = TemporaryFolder()
            one.writePipeline(path: shared, follow: true)
            one.write("", to: "in.jsonl")
            folders.append(one)
        }
        let arguments = isFresh ? "--fresh" : "--workers=1"
        let first = try BackgroundRun(folders[0], arguments)
        try first.wait("the file") { folder.inode("shared.jsonl") != nil }
        let second = try Tool.run("run", folders[1].path, arguments)
        expectRefusal(second, "shared.jsonl: another pipeline writes to it", "another path")
        try first.append(1...2)
        try first.wait("rows") { folder.text("shared.jsonl") == "{\"n\":1}\n{\"n\":2}\n" }
        #expect(first.stop() == 0)
        // What the first has left is not the second's to change either.
        expectRefusal(try Tool.run("run", folders[1].path, arguments), "holds 16 bytes")
    }

    @Test func `a folder may be moved, and a copied one goes on`() throws {
        folder.writePipeline(path: "p/out/o.jsonl")
        folder.write(
            folder.text("pipeline.yaml").replacing("p/out", with: "out"), to: "p/pipeline.yaml")
        folder.write("{\"n\":1}\n{\"n\":2}\n", to: "p/in.jsonl")
        #expect(try Tool.run("run", folder("p"), "--once").status == 0)
        folder.rename("p", to: "q")
        folder.write("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", to: "q/in.jsonl")
        // Also by a relative path.
        let moved = try Tool.run(
            "-c", "cd '\(folder.path)' && '\(Tool.binary)' run q --once", executable: "/bin/sh")
        #expect(moved.status == 0 && moved.complaints.isEmpty, "\(moved.errors)")
        #expect(folder.text("q/out/o.jsonl") == "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n")
        _ = try Tool.run("-r", folder("q"), folder("r"), executable: "/bin/cp")
        folder.write("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n", to: "r/in.jsonl")
        let copied = try Tool.run("run", folder("r"), "--once")
        #expect(copied.status == 0 && copied.errors.contains("is a copy"), "\(copied.errors)")
        #expect(folder.text("r/out/o.jsonl") == "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n")
    }

    @Test(arguments: ["other", "changed", "replaced"])
    func `what was changed behind its back is left alone until somebody decides`(
        how: String
    ) throws {
        folder.writePipeline(path: "out/o.jsonl")
        fill(1...3)
        #expect(try run("--once").status == 0)
        let theirs = how == "changed" ? "{\"n\":1}\n{\"n\":9}\n{\"n\":3}\n" : "mine\n"
        if how == "changed" {
            folder.write(theirs, to: "out/o.jsonl")
        } else {
            folder.write(theirs, to: "new")
            if how == "other" { folder.rename("out/o.jsonl", to: "kept") }
            folder.rename("new", to: "out/o.jsonl")
        }
        fill(4...4)
        expectRefusal(try run("--once"), "out/o.jsonl: is not the file", "--overwrite", "append")
        #expect(folder.text("out/o.jsonl") == theirs)
        if how == "other" { #expect(try folder.numbers(in: ".", "kept") == [1, 2, 3]) }
        folder.writePipeline(path: "out/o.jsonl", options: ", append: true")
        #expect(try run("--once").status == 0)
        #expect(folder.text("out/o.jsonl") == theirs + "{\"n\":4}\n")
        folder.write("yours\n", to: "new")
        folder.rename("new", to: "out/o.jsonl")
        folder.writePipeline(path: "out/o.jsonl")
        fill(5...5)
        #expect(try run("--once").status == 1)
        #expect(try run("--once", "--overwrite").status == 0)
        #expect(folder.text("out/o.jsonl") == "{\"n\":5}\n")
    }

    @Test func `a missing output begins anew, a shorter one is appended to, and both are said`()
        throws
    {
        folder.writePipeline(path: "out/o.jsonl")
        fill(1...3)
        #expect(try run("--once").status == 0)
        folder.rename("out/o.jsonl", to: "out/o.jsonl.1")
        fill(4...4)
        let renamed = try run("--once")
        #expect(renamed.status == 0 && renamed.errors.contains("was renamed to o.jsonl.1"))
        #expect(try folder.numbers(in: "out", "o.jsonl") == [1, 2, 3, 4])
        #expect(folder.text("out/o.jsonl") == "{\"n\":4}\n")
        try FileManager.default.removeItem(atPath: folder("out/o.jsonl"))
        fill(5...6)
        let missing = try run("--once")
        #expect(missing.status == 0 && missing.errors.contains("out/o.jsonl: is missing"))
        #expect(folder.text("out/o.jsonl") == "{\"n\":5}\n{\"n\":6}\n")
        _ = try Tool.run("-c", ": > '\(folder("out/o.jsonl"))'", executable: "/bin/sh")
        fill(7...7)
        let shorter = try run("--once")
        #expect(shorter.status == 0 && shorter.errors.contains("somebody has cut it"))
        #expect(folder.text("out/o.jsonl") == "{\"n\":7}\n")
    }

    @Test func `rows are there before a run to the end has ended, unless the path is partial`()
        throws
    {
        folder.write(
            """
            source: {generate: {script: g.lua, rate: 50}}
            sinks:
              - {from: source, file: {path: out/o.jsonl}}
              - {from: source, name: late, file: {path: out/late.jsonl.partial}}
            commit: {every: 20ms}
            """, to: "pipeline.yaml")
        folder.write("function generate(i) return {n = i} end", to: "g.lua")
        let live = try BackgroundRun(folder, "--once")
        try live.wait("rows") { folder.text("out/o.jsonl").contains("\"n\":5}") }
        try live.wait("rows") { folder.text("out/late.jsonl.partial").contains("\"n\":5}") }
        #expect(folder.read("out/late.jsonl") == nil)
        #expect(live.stop() == 0)
        #expect(folder.text("out/late.jsonl") == folder.text("out/o.jsonl"))
        #expect(folder.read("out/late.jsonl.partial") == nil)
        // The next run goes on in the file with its name.
        let before = folder.text("out/late.jsonl").split(separator: "\n").count
        let next = try BackgroundRun(folder, "--once")
        try next.wait("more rows") {
            folder.text("out/late.jsonl").split(separator: "\n").count > before
        }
        #expect(next.stop() == 0)
        #expect(folder.text("out/late.jsonl") == folder.text("out/o.jsonl"))
        #expect(try run("--once", "--fresh", "--data", folder("x")).status == 1)
    }

    @Test(arguments: ["o.jsonl", "o.csv", "o.jsonl.zst", "part-%n.jsonl"])
    func `a full disk is one clear error, and nothing half-written counts`(name: String) throws {
        let roll = name.contains("%n") ? ", roll: {size: 100MiB}" : ""
        folder.writePipeline(path: "out/\(name)", options: roll)
        var random = SeededRandom(seed: 3)
        let count = 60_000
        let lines = (1...count).map { number in
            let pad = (0..<24).map { _ in String(random.next(), radix: 36) }.joined()
            return "{\"n\":\(number),\"pad\":\"\(pad)\"}\n"
        }
        folder.write(lines.joined(), to: "in.jsonl")
        let script = "ulimit -f 16384; exec '\(Tool.binary)' run '\(folder.path)' --once"
        expectRefusal(
            try Tool.run("-c", script, executable: "/bin/sh"), "error: out/",
            "file too large; the rows were not written")
        let last = try run("--once")
        #expect(last.status == 0, "\(last.errors)")
        let read = try Tool.run(
            "-c",
            "cd '\(folder("out"))' && for f in *; do case $f in *.zst) zstd -qdc $f ;; "
                + "*) cat $f ;; esac; done", executable: "/bin/sh")
        let rows = read.output.split(separator: "\n").filter { $0 != "n,pad" }
        #expect(rows.count == count)
        #expect(Set(rows).count == count)
    }
}
