import Connecting
import Glibc
import TestKit
import Testing
import Threads

@testable import Connectors

@Suite struct FileSinkTests {
    private let folder = TemporaryFolder()
    private let said = Locked("")

    private func context(once: Bool = true, _ change: (inout Resumption) -> Void = { _ in })
        -> RunContext
    {
        var context = RunContext(
            folder: folder.path, once: once, inputs: [], recordLimit: 1000, sourceName: "source")
        change(&context.resumption)
        let said = said
        context.warn = { text in said.withLock { $0 += text } }
        return context
    }

    private func write(_ text: String, to sink: FileSink) throws {
        let bytes = Array(text.utf8)
        try unsafe bytes.span.bytes.withUnsafeBytes { try unsafe sink.write($0, count: 1) }
    }

    private func open(
        _ context: RunContext, _ path: String = "out.jsonl", append: Bool = false
    ) throws -> FileSink {
        try FileSink(path: path, append: append, context: context)
    }

    @Test func `once: rows are in the file at once, and a partial one takes its name at the end`()
        throws
    {
        let sink = try open(context(), "deep/er/out.jsonl")
        try write("{}\n", to: sink)
        #expect(folder.text("deep/er/out.jsonl") == "{}\n")
        try sink.finish()
        let late = try open(context(), "late.jsonl.partial")
        try write("{}\n", to: late)
        #expect(folder.read("late.jsonl") == nil)
        try late.finish()
        #expect(folder.text("late.jsonl") == "{}\n")
        #expect(folder.read("late.jsonl.partial") == nil)
    }

    @Test func `a run that fails before its first row leaves the old file as it was`() throws {
        folder.write("old\n", to: "out.jsonl")
        let sink = try open(context { $0.overwrites = true })
        sink.abandon()
        #expect(folder.text("out.jsonl") == "old\n")
        let next = try open(context { $0.overwrites = true })
        try write("{}\n", to: next)
        #expect(folder.text("out.jsonl") == "{}\n")
    }

    @Test func `a full disk and a directory are told in words`() throws {
        folder.write("", to: "dir/x")
        let full = try open(context(), "/dev/full")
        let error = #expect(throws: ConnectorError.self) { try write("{}\n", to: full) }
        #expect(error?.description.contains("no space left on device") == true)
        #expect(throws: ConnectorError.self) { _ = try open(context(), "dir") }
    }

    @Test func `one writer at a time, and the next one once it is done`() throws {
        let first = try open(context())
        let error = #expect(throws: ConnectorError.self) { _ = try open(context()) }
        #expect(error?.description.contains("another pipeline writes to it") == true)
        first.abandon()
        #expect(throws: Never.self) { try open(context()).abandon() }
    }

    @Test func `rows behind a line without an end begin a line of their own`() throws {
        folder.write("theirs", to: "out.jsonl")
        let sink = try open(context(), append: true)
        try write("{}\n", to: sink)
        #expect(folder.text("out.jsonl") == "theirs\n{}\n")
    }

    // MARK: Positions of other versions

    private static let older: [(position: String, file: String, content: String)] = [
        ("whole 8", "out.jsonl", "{\"n\":1}\n{\"n\":2}\n"),
        ("partial 8", ".out.jsonl.partial", "{\"n\":1}\n{\"n\""),
        ("partial 8", "out.jsonl", "{\"n\":1}\n"),
    ]

    @Test(arguments: older.indices, ["/somewhere/else/", "./", ""])
    func `positions that note the length alone are read, under any folder`(
        index: Int, place: String
    ) throws {
        let older = Self.older[index]
        folder.write(older.content, to: older.file)
        let sink = try open(
            context {
                $0.isKept = true
                $0.positions = [place + "out.jsonl": Array(older.position.utf8)]
            })
        try write("{\"n\":3}\n", to: sink)
        try sink.finish()
        #expect(folder.text("out.jsonl") == "{\"n\":1}\n{\"n\":3}\n")
    }

    @Test func `an older position of a file that is missing or shorter is told`() throws {
        let old = ["out.jsonl": Array("whole 100".utf8)]
        for content in [nil, "{}\n{"] {
            if let content { folder.write(content, to: "out.jsonl") }
            let sink = try open(
                context {
                    $0.isKept = true
                    $0.positions = old
                })
            try write("{\"n\":3}\n", to: sink)
            try sink.finish()
            #expect(folder.text("out.jsonl") == (content == nil ? "" : "{}\n") + "{\"n\":3}\n")
            unlink(folder("out.jsonl"))
        }
        let told = said.withLock { $0 }
        #expect(told.contains("is missing") && told.contains("somebody has cut it"))
    }

    @Test func `a position says all that it was given`() throws {
        var position = SinkPosition()
        position.columns = ["a", "b\n\"c\""]
        position.rows = .max
        position.newest = -5
        for number in 0..<3 {
            position.files.append(
                SinkFilePosition(
                    path: "out/ä %n\n", device: .max, inode: UInt64(number), length: 7,
                    hash: 1 << 63, owed: Array(repeating: 0x0A, count: number),
                    first: UInt64(number), time: number > 0 ? -1 : 0, isClosed: number == 2))
        }
        #expect(SinkPosition(position.encoded) == position)
        for count in 0..<position.encoded.count - 1 {
            let cut = SinkPosition(Array(position.encoded.prefix(count)))
            #expect(cut == nil, "\(count)")
        }
    }
}
