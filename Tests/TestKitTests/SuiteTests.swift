import Connecting
import Records
import TestKit
import Testing

/// The suites find what they are for: each breach of a contract in a small connector of its own.
@Suite struct SuiteTests {
    /// Lines `0`, `1`, … that break the contract in some way.
    private final class Lines: Source {
        enum Breach { case none, skips, repeats, overfills, tellsAgain, forgets, endsLate }

        private let breach: Breach
        private var next: UInt64
        private var told: UInt64?
        private var hasEnded = false

        init(_ breach: Breach, _ resumption: Resumption) {
            self.breach = breach
            let place = resumption.positions["lines"] ?? []
            next = UInt64(String(decoding: place, as: UTF8.self)) ?? 0
            if breach == .skips, next == 7 { next = 8 }
        }

        func read(
            into batch: Batch, limit: ReadLimit, milliseconds: Int
        ) throws(ConnectorError) -> SourceOutcome {
            guard next < 12 else {
                defer { hasEnded = true }
                if breach == .endsLate, hasEnded { next = 11 } else { return .end }
                return try read(into: batch, limit: limit, milliseconds: milliseconds)
            }
            batch.position = next
            batch.line = next + 1
            let most = breach == .overfills ? 5 : limit.records ?? 5
            for _ in 0..<most where next < 12 && (batch.isEmpty || limit.bytes > 100) {
                batch.bytes.append(contentsOf: "\(next)\n".utf8)
                next += 1
            }
            return .records
        }

        func takePositions(
            before place: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
        ) {
            var position = place.map { $0.line - 1 } ?? next
            if breach == .repeats, place != nil { position -= 1 }
            if breach == .forgets, place != nil { position = next }
            guard position != told || breach == .tellsAgain else { return }
            told = position
            body("lines", Array("\(position)".utf8))
        }
    }

    private func violations(_ breach: Lines.Breach) -> [String] {
        SourceSuite(
            expecting: (0..<12).map(String.init),
            limits: [
                ReadLimit(bytes: 1000), ReadLimit(bytes: 1000, records: 3), ReadLimit(bytes: 1),
            ]
        ) {
            PositionedSource { (resumption) throws(ConnectorError) in Lines(breach, resumption) }
        }.violations()
    }

    @Test func `breaches of a source are found`() {
        #expect(violations(.skips).contains { $0.contains("cut behind 7") })
        #expect(violations(.repeats).contains { $0.contains("record") })
        #expect(violations(.forgets).contains { $0.contains("cut behind") })
        #expect(violations(.overfills).contains { $0.hasSuffix("records at once") })
        #expect(violations(.tellsAgain).contains { $0.contains("has not changed") })
        #expect(violations(.endsLate).contains { $0.hasSuffix("behind the end") })
        for breach in [Lines.Breach.skips, .repeats, .forgets] {
            #expect(violations(breach).contains { $0.hasPrefix("kills") })
        }
    }

    /// Rows in memory that break the contract in some way.
    private final class Memory: Sink {
        enum Breach { case none, doesNotCut, cutsTooMuch, tellsAgain, tellsEarly, silent, swaps }

        final class Disk {
            var text: [UInt8] = []
        }

        private let breach: Breach
        private let disk: Disk
        private var told: Int?

        init(_ breach: Breach, _ disk: Disk, _ resumption: Resumption) {
            self.breach = breach
            self.disk = disk
            let place = resumption.positions["memory"] ?? []
            let length = Int(String(decoding: place, as: UTF8.self)) ?? 0
            if breach != .doesNotCut { disk.text.removeSubrange(length...) }
            if breach == .cutsTooMuch { disk.text = disk.text.dropLast() }
        }

        func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
            var lines = Array(rows).split(separator: 0x0A, omittingEmptySubsequences: false)
            if breach == .swaps { lines.dropLast(1).indices.count > 1 ? lines.swapAt(0, 1) : () }
            disk.text += lines.joined(separator: [0x0A])
        }
        func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void) {
            guard breach != .silent, told != disk.text.count || breach == .tellsAgain else {
                return
            }
            told = disk.text.count
            body("memory", Array("\(disk.text.count + (breach == .tellsEarly ? 1 : 0))".utf8))
        }
        func flush() throws(ConnectorError) {}
        func finish() throws(ConnectorError) {}
        func abandon() {}
    }

    private func violations(_ breach: Memory.Breach, isCutBack: Bool = true) -> [String] {
        SinkSuite(isCutBack: isCutBack) {
            let disk = Memory.Disk()
            return SinkPlace { (resumption) throws(ConnectorError) in
                Memory(breach, disk, resumption)
            } content: {
                String(decoding: disk.text, as: UTF8.self)
            }
        }.violations()
    }

    @Test func `breaches of a sink are found`() {
        #expect(violations(Memory.Breach.none).isEmpty)
        #expect(violations(Memory.Breach.doesNotCut).contains { $0.contains("killed behind step") })
        #expect(violations(Memory.Breach.cutsTooMuch).contains { $0.contains("again and again") })
        #expect(violations(Memory.Breach.tellsAgain).contains { $0.contains("is told again") })
        #expect(violations(Memory.Breach.silent).contains("no position is told"))
        #expect(violations(Memory.Breach.none, isCutBack: false).contains("a position is told"))
        #expect(violations(Memory.Breach.swaps).contains { $0.hasPrefix("a run that ended well") })
    }

    /// An outbox sink in memory that breaks the contract in some way.
    private final class Receiver: OutboxSink {
        enum Breach { case none, loses, stamps, swallows }

        nonisolated(unsafe) private static var calls = 0
        private let breach: Breach
        private(set) var text = ""

        init(_ breach: Breach) { self.breach = breach }

        func deliver(
            _ rows: UnsafeRawBufferPointer, count: Int, first: RowKey
        ) throws(ConnectorError) {
            // Whoever takes 40,000 rows at once waits in vain.
            if count == 40_000, breach != .swallows { throw ConnectorError("nobody takes them") }
            Self.calls += 1
            var lines = String(decoding: rows, as: UTF8.self)
            if breach == .loses, count > 1 { lines = "{}\n" }
            if breach == .stamps { lines = "{\"call\":\(Self.calls)}\n" }
            text += lines
        }
        func finish() throws(ConnectorError) {}
        func abandon() {}
    }

    private func violations(_ breach: Receiver.Breach) -> [String] {
        OutboxSuite {
            let receiver = Receiver(breach)
            return OutboxPlace(sink: receiver, receive: {}, content: { receiver.text })
        }.violations()
    }

    @Test func `breaches of an outbox sink are found`() {
        #expect(violations(Receiver.Breach.none).isEmpty)
        #expect(violations(Receiver.Breach.loses).contains { $0.contains("rows were delivered") })
        #expect(
            violations(Receiver.Breach.stamps).contains { $0.contains("the same rows and key") })
        #expect(violations(Receiver.Breach.swallows).contains { $0.contains("nobody took") })
    }

    @Test func `what the engine does against the contract is found`() throws {
        let watch = ScriptedSource.Watch()
        let context = RunContext(
            folder: ".", once: true, inputs: [], recordLimit: 1000, sourceName: "source")
        let source = ScriptedSource(
            [.records(3, of: "a"), .revoke(["a"]), .nothing], watch, context)
        let batch = Batch()
        func read() throws {
            _ = try source.read(into: batch, limit: ReadLimit(bytes: 1), milliseconds: 1)
        }
        try read()
        try read()
        source.kept([SourcePosition(name: "a", position: Array("2".utf8))])
        try read()
        source.released(["a"])
        source.kept([SourcePosition(name: "a", position: Array("1".utf8))])
        #expect(
            watch.violations == [
                "the batch is not empty", "read before [\"a\"] were released",
                "the batch is not empty", "a is released with 2 of 3 records committed",
                "a goes back from 2 to 1",
            ])
    }

    @Test func `what a sink's caller does against the contract is found`() {
        let retry = ConnectorError("later", remedy: .retry(afterMilliseconds: 1))
        let watch = SinkWatch([retry, ConnectorError("away", remedy: .reconnect), nil])
        let sink = ScriptedSink(watch)
        func write(_ text: String, count: Int = 1) {
            let bytes = Array(text.utf8)
            bytes.withUnsafeBytes { try? sink.write($0, count: count) }
        }
        write("{}\n")
        write("{\"n\":1}\n")
        write("{\"n\":1}\n")
        write("{\"n\":2}\n", count: 2)
        sink.abandon()
        write("{\"n\":3}\n")
        #expect(
            watch.violations == [
                "other rows after a failure: {\"n\":1}\n", "not reconnected before the next try",
                "1 rows, said to be 2", "rows behind the end",
            ])
    }
}
