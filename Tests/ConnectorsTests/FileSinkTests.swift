import Connecting
import TestKit
import Testing

@testable import Connectors

@Suite struct FileSinkTests {
    private func context(_ folder: TemporaryFolder, once: Bool) -> RunContext {
        RunContext(
            folder: folder.path, once: once, inputs: [], recordLimit: 1000, sourceName: "source")
    }

    private func write(_ text: String, to sink: FileSink) throws {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        defer { bytes.deallocate() }
        bytes.copyBytes(from: text.utf8)
        try sink.write(UnsafeRawBufferPointer(bytes), count: 1)
    }

    @Test func `once: the file takes its name only at the end`() throws {
        let folder = TemporaryFolder()
        let sink = try FileSink(
            path: "deep/er/out.jsonl", append: false, context: context(folder, once: true))
        try write("{}\n", to: sink)
        #expect(folder.read("deep/er/out.jsonl") == nil)
        try sink.finish()
        #expect(folder.text("deep/er/out.jsonl") == "{}\n")
        #expect(folder.read("deep/er/.out.jsonl.partial") == nil)
    }

    @Test func `once: a run that failed leaves the old file as it was`() throws {
        let folder = TemporaryFolder()
        folder.write("old\n", to: "out.jsonl")
        let sink = try FileSink(
            path: "out.jsonl", append: false, context: context(folder, once: true))
        try write("{}\n", to: sink)
        sink.abandon()
        #expect(folder.text("out.jsonl") == "old\n")
        #expect(folder.read(".out.jsonl.partial") == nil)
    }

    @Test func `a full disk and a directory are told in words`() throws {
        let folder = TemporaryFolder()
        folder.write("", to: "dir/x")
        let full = try FileSink(
            path: "/dev/full", append: false, context: context(folder, once: true))
        let error = #expect(throws: ConnectorError.self) { try write("{}\n", to: full) }
        #expect(error?.description.contains("no space left on device") == true)
        #expect(throws: ConnectorError.self) {
            _ = try FileSink(path: "dir", append: false, context: context(folder, once: true))
        }
    }
}
