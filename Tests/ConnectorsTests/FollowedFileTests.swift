import Connecting
import Foundation
import TestKit
import Testing

@testable import Connectors

/// Files that are read while others write, rotate and remove them.
@Suite struct FollowedFileTests {
    private func remove(_ name: String, _ runs: FileRuns) throws {
        try FileManager.default.removeItem(atPath: runs.folder(name))
    }

    @Test(arguments: [true, false])
    func `one bad file never stops the others`(isKept: Bool) throws {
        let runs = FileRuns("in/*", follow: true, isKept: isKept)
        let packed = Packed.gzip(numbered(100..<130).text)
        runs.folder.write("{\"a\":1}\n", to: "in/a.jsonl")
        runs.folder.write("", to: "in/folder/x")
        runs.folder.write(Array(packed.prefix(60)), to: "in/half.jsonl.gz")
        runs.folder.write([0xFF, 0x2C, 0x0A, 0x31, 0x0A], to: "in/header.csv")
        runs.folder.write([0x1F, 0x8B, 9, 9, 9, 9], to: "in/damaged.csv.gz")
        try runs.begin()
        #expect(try runs.take(1).first == #"{"a":1}"#)
        #expect(try runs.look { runs.warnings.count >= 4 })
        for name in ["folder", "half.jsonl.gz", "header.csv", "damaged.csv.gz"] {
            #expect(runs.warnings.count { $0.contains("in/\(name)") } == 1, "\(runs.warnings)")
        }
        try runs.folder.append("{\"a\":2}\n", to: "in/a.jsonl")
        #expect(try runs.take(4).contains(#"{"a":2}"#))
        runs.folder.write("x,y\n1,2\n", to: "in/header.csv")
        #expect(try runs.take(1) == [#"{"x":"1","y":"2"}"#])
        #expect(try runs.look { runs.counts.failed.count == 2 })
        try remove("in/folder", runs)
        try remove("in/damaged.csv.gz", runs)
        runs.folder.write("{\"b\":1}\n", to: "in/b.jsonl")
        #expect(try runs.look { runs.counts.failed.isEmpty })
    }

    @Test func `a file that was rotated is read on before and beside the new one`() throws {
        let runs = FileRuns("in/app.csv", follow: true)
        runs.folder.write("id,p\n1,2\n", to: "in/app.csv")
        try runs.begin()
        #expect(try runs.take(1) == [#"{"id":"1","p":"2"}"#])
        runs.folder.rename("in/app.csv", to: "in/app.csv.1")
        try runs.folder.append("3,4\n", to: "in/app.csv.1")
        runs.folder.write("p,id\n6,5\n", to: "in/app.csv")
        #expect(try runs.take(2) == [#"{"id":"3","p":"4"}"#, #"{"p":"6","id":"5"}"#])
        try runs.folder.append("7,8\n", to: "in/app.csv.1")
        #expect(try runs.take(1) == [#"{"id":"7","p":"8"}"#])
    }

    @Test(arguments: ["in/app.log", "in/app.log*"], [true, false])
    func `nothing is lost or read twice through any rotation`(path: String, isCopied: Bool) throws {
        let runs = FileRuns(path, follow: true)
        runs.folder.write("", to: "in/app.log")
        try runs.begin()
        var found: [String] = []
        for number in 0..<40 {
            try runs.folder.append(numbered(number..<(number + 1)).text, to: "in/app.log")
            // Rotation is not faster than reading, but more may come in between.
            if number % 7 == 1 { found += try runs.take(number + 1 - found.count) }
            if number % 7 == 3, !isCopied {
                runs.folder.rename("in/app.log", to: "in/app.log.1")
                runs.folder.write("", to: "in/app.log")
            } else if number % 7 == 3 {
                found += try runs.take(number + 1 - found.count)
                runs.folder.copyAndTruncate("in/app.log", to: "in/app.log.1")
            }
            if number % 7 == 5, let text = runs.folder.read("in/app.log.1") {
                let packed = Packed.gzip(String(decoding: text, as: UTF8.self))
                runs.folder.write(packed, to: "in/app.log.2.gz")
                found += try runs.take(number + 1 - found.count)
                try remove("in/app.log.1", runs)
            }
        }
        found += try runs.take(40 - found.count)
        #expect(found.sorted() == numbered(0..<40).sorted())
        #expect(try runs.take(1) == [])
    }

    @Test func `what was rewritten between two looks is noticed`() throws {
        let runs = FileRuns("in.jsonl", follow: true)
        runs.folder.write(numbered(0..<3).text, to: "in.jsonl")
        try runs.begin()
        #expect(try runs.take(3) == numbered(0..<3))
        for next in [numbered(3..<6), numbered(0..<2), numbered(4..<40)] {
            runs.folder.write(next.text, to: "in.jsonl")
            #expect(try runs.take(next.count) == next)
        }
        #expect(runs.warnings.count == 3)
    }

    @Test func `packed files grow by members`() throws {
        let runs = FileRuns("in/*", follow: true)
        runs.folder.write(Packed.gzip(numbered(0..<2).text), to: "in/a.jsonl.gz")
        try runs.begin()
        #expect(try runs.take(2) == numbered(0..<2))
        try runs.folder.append(Packed.gzip(numbered(2..<3).text) + [0, 0], to: "in/a.jsonl.gz")
        #expect(try runs.take(1) == numbered(2..<3))
        try runs.folder.append(Packed.gzip(numbered(3..<5).text), to: "in/a.jsonl.gz")
        #expect(try runs.take(2) == numbered(3..<5))
        let rest = (0..<30).map { "{\"z\":\($0)}" }
        runs.folder.write(Packed.zstd(rest.text), to: "in/z.jsonl.zst")
        #expect(try runs.take(30) == rest)
        try runs.folder.append(Packed.zstd(rest.text), to: "in/z.jsonl.zst")
        #expect(try runs.take(30) == rest)
        #expect(runs.warnings == [])
    }

    @Test func `files beyond the limit are closed and opened again`() throws {
        let runs = FileRuns("in/*.csv", follow: true)
        runs.options.maxOpenFiles = 4
        for number in 0..<30 { runs.folder.write("a\n\(number)\n", to: "in/\(number).csv") }
        try runs.begin()
        #expect(try runs.take(30).count == 30)
        #expect(openFiles(runs).count <= 4)
        for number in 0..<30 { try runs.folder.append("x\(number)\n", to: "in/\(number).csv") }
        #expect(Set(try runs.take(30)) == Set((0..<30).map { "{\"a\":\"x\($0)\"}" }))
        runs.folder.rename("in/3.csv", to: "in/3.old")
        try runs.folder.append("late\n", to: "in/3.old")
        #expect(try runs.take(1) == [#"{"a":"late"}"#])
        for number in 4..<30 { try remove("in/\(number).csv", runs) }
        #expect(try runs.look { openFiles(runs).allSatisfy { !$0.contains("deleted") } })
        #expect(runs.warnings == [])
    }

    private func openFiles(_ runs: FileRuns) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return all.compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }.filter { $0.hasPrefix(runs.folder("in")) }
    }
}
