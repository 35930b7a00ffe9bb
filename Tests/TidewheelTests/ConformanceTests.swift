import Connecting
import Records
import Synchronization
import TestKit
import Testing
import Threads

@testable import Tidewheel

/// What every source and sink has to hold, held by those of the library.
@Suite struct ConformanceTests {
    /// Records that a program hands in; what was not done is handed in again after a kill.
    private final class IngestRuns: SourceRuns {
        private let texts: [String]
        private var source: IngestSource?
        private var committed: [String: [UInt8]] = [:]
        private var done = 0
        private var read = 0

        init(_ texts: [String]) { self.texts = texts }

        func begin() {
            var context = RunContext(
                folder: ".", once: true, inputs: [], recordLimit: 1000, sourceName: "source")
            context.resumption.isKept = true
            context.resumption.positions = committed
            let queue = IngestQueue()
            for text in texts[done...] { queue.channel.send(Array(text.utf8)) }
            queue.channel.close()
            source = IngestSource(queue, context: context)
            read = done
        }

        func read(
            into batch: Batch, limit: ReadLimit, milliseconds: Int
        ) throws -> SourceOutcome {
            let outcome = try source?.read(into: batch, limit: limit, milliseconds: milliseconds)
            read += batch.entries.count
            return outcome ?? .end
        }

        func commit(before next: RecordPlace?) -> Bool {
            var isTold = false
            source?.takePositions(before: next) { name, position in
                committed[name] = position
                isTold = true
            }
            done = next.map { Int($0.position) } ?? read
            return isTold
        }
    }

    @Test func `records that a program hands in`() {
        let texts = (0..<13).map { "{\"n\":\($0),\"x\":\"\(String(repeating: "é", count: $0))\"}" }
        let found = SourceSuite(expecting: texts) { IngestRuns(texts) }.violations()
        #expect(found.isEmpty, "\(found.prefix(5).joined(separator: "\n"))")
    }

    @Test func `a sink in Swift`() {
        let found = SinkSuite(isCutBack: false) {
            let rows = Rows()
            return SinkPlace { (_) throws(ConnectorError) in
                ClosureSink { (record) throws(ConnectorError) in rows.add(record) }
            } content: {
                rows.text
            }
        }.violations()
        #expect(found.isEmpty, "\(found.prefix(5).joined(separator: "\n"))")
    }

    private final class Rows: Sendable {
        private let rows = Mutex("")
        func add(_ record: Record) { rows.withLock { $0 += record.description + "\n" } }
        var text: String { rows.withLock { $0 } }
    }

    @Test func `a sink in Swift refuses its own record, and goes on behind one that failed`() throws
    {
        let rows = Rows()
        let tries = Mutex(0)
        let sink = ClosureSink { (record) throws(ConnectorError) in
            if record["n"] == .integer(1) {
                throw ConnectorError(
                    "no", remedy: .refuse([RefusedRow(index: 0, reason: "it is one")]))
            }
            if record["n"] == .integer(3),
                tries.withLock({
                    $0 += 1; return $0
                }) < 3
            {
                throw ConnectorError("later", remedy: .retry(afterMilliseconds: 1))
            }
            rows.add(record)
        }
        let bytes = Array((0..<5).map { "{\"n\":\($0)}\n" }.joined().utf8)
        func write() -> ConnectorError.Remedy? {
            do throws(ConnectorError) {
                try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
                    try unsafe sink.write(bytes, count: 5)
                }
                return nil
            } catch { return error.remedy }
        }
        #expect(write() == .retry(afterMilliseconds: 1))
        #expect(write() == .retry(afterMilliseconds: 1))
        #expect(write() == .refuse([RefusedRow(index: 1, reason: "it is one")]))
        #expect(rows.text == [0, 2, 3, 4].map { "{\"n\":\($0)}\n" }.joined())
        #expect(write() == .refuse([RefusedRow(index: 1, reason: "it is one")]))
        #expect(rows.text.split(separator: "\n").count == 8)
    }
}
