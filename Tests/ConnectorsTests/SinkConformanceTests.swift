import Connecting
import Glibc
import TestKit
import Testing
import Threads

@testable import Connectors

/// What every sink and every outbox sink has to hold, held by those of this module.
@Suite struct SinkConformanceTests {
    private func check(_ violations: [String], _ place: SourceLocation = #_sourceLocation) {
        #expect(
            violations.isEmpty, "\(violations.prefix(5).joined(separator: "\n"))",
            sourceLocation: place)
    }

    @Test(arguments: [(once: true, append: false), (false, false), (true, true), (false, true)])
    func `a file`(once: Bool, append: Bool) {
        check(
            SinkSuite(isCutBack: true) {
                let folder = TemporaryFolder()
                return SinkPlace {
                    (resumption) throws(ConnectorError) in
                    var context = RunContext(
                        folder: folder.path, once: once, inputs: [], recordLimit: 1000,
                        sourceName: "source")
                    context.resumption = resumption
                    return try FileSink(path: "out.jsonl", append: append, context: context)
                } content: {
                    folder.text("out.jsonl")
                }
            }.violations())
    }

    @Test(arguments: [
        "out.jsonl.gz", "out.jsonl.zst", "part-%n.jsonl", "part-%n.jsonl.gz",
    ])
    func `packed and rolling files`(path: String) {
        check(
            SinkSuite(isCutBack: true) {
                let folder = TemporaryFolder()
                return SinkPlace {
                    (resumption) throws(ConnectorError) in
                    var context = RunContext(
                        folder: folder.path, once: true, inputs: [], recordLimit: 1000,
                        sourceName: "source")
                    context.resumption = resumption
                    var options = FileSinkOptions(path: path)
                    guard path.contains("%n") else { return try FileSink(options, context) }
                    var roll = RollOptions(path: path)
                    roll.bytes = 20
                    options.roll = roll
                    return try RollingFileSink(options, roll, context)
                } content: {
                    entries(of: folder.path).map { name in
                        let all = folder.read(name) ?? []
                        guard let packing = Packing.split(name).packing else {
                            return String(decoding: all, as: UTF8.self)
                        }
                        return String(decoding: unpacked(all, packing), as: UTF8.self)
                    }.joined()
                }
            }.violations())
    }

    @Test func `standard output`() {
        check(
            SinkSuite(isCutBack: false) {
                let folder = TemporaryFolder()
                let file = unsafe open(folder("out"), O_WRONLY | O_CREAT, 0o666)
                return SinkPlace { (_) throws(ConnectorError) in
                    StdoutSink(descriptor: file)
                } content: {
                    close(file)
                    return folder.text("out")
                }
            }.violations())
    }

    @Test func `nowhere`() throws {
        let violations = SinkSuite(isCutBack: false) {
            SinkPlace { (_) throws(ConnectorError) in
                NullSink()
            } content: {
                ""
            }
        }.violations()
        // That the rows are missing is the only thing to be said.
        #expect(violations.count == 1 && violations[0].contains("0 bytes"))
    }

    /// The two ends of a pipe, and a thread that reads it to its end.
    private final class Reader: Sendable {
        let reading: Int32
        let writing: Int32
        private let text = Locked<[UInt8]>([])
        private let ended = Channel<Void>(capacity: 1)

        init() {
            var ends: [Int32] = [-1, -1]
            let isMade = unsafe pipe(&ends) == 0
            precondition(isMade, "there are pipes")
            (reading, writing) = (ends[0], ends[1])
        }

        func start() {
            WorkerThread { [self] in
                var buffer = [UInt8](repeating: 0, count: 1 << 16)
                while true {
                    let count = unsafe read(reading, &buffer, buffer.count)
                    if count <= 0 { break }
                    text.withLock { $0 += buffer[..<count] }
                }
                ended.close()
            }.detach()
        }

        func finish() -> String {
            close(writing)
            _ = ended.receive()
            close(reading)
            return String(decoding: text.withLock { $0 }, as: UTF8.self)
        }
    }

    @Test(arguments: [nil, "key"]) func `standard output from the outbox`(keyField: String?) {
        check(
            OutboxSuite {
                let reader = Reader()
                return OutboxPlace(
                    sink: StdoutOutbox(keyField: keyField, descriptor: reader.writing),
                    receive: { reader.start() }, content: { reader.finish() })
            }.violations())
    }
}
