import Connecting
import Definitions
import TestKit
import Testing
import Threads

@testable import Engine

/// Sinks that are fed from the outbox, over runs on one store.
@Suite(.timeLimit(.minutes(30))) struct OutboxTests {
    /// A sink that keeps what it is given, under the keys; it may fail or wait in `onDeliver`.
    private final class Receiver: OutboxSink {
        private let journal: Journal
        private let onDeliver: @Sendable ([String]) throws(ConnectorError) -> Void
        private let onGiveUp: @Sendable () -> Void

        init(
            _ journal: Journal,
            _ onDeliver: @escaping @Sendable ([String]) throws(ConnectorError) -> Void,
            _ onGiveUp: @escaping @Sendable () -> Void
        ) {
            self.journal = journal
            self.onDeliver = onDeliver
            self.onGiveUp = onGiveUp
        }

        func deliver(
            _ rows: UnsafeRawBufferPointer, count: Int, first: RowKey
        ) throws(ConnectorError) {
            let lines = unsafe String(decoding: rows, as: UTF8.self).split(separator: "\n")
                .map(String.init)
            precondition(lines.count == count, "the number of rows must be right")
            try onDeliver(lines)
            var key = first
            for line in lines {
                journal.add("\(key) \(line)")
                key.number += 1
            }
        }
        func giveUp() { onGiveUp() }
        func finish() throws(ConnectorError) { journal.add("finish") }
        func abandon() { journal.add("abandon") }
    }

    private let folder = TemporaryFolder()

    private func start(
        _ numbers: Range<Int>, _ journal: Journal, delivery: Delivery = .exactlyOnce,
        workers: Int = 1, once: Bool = true, giveUp: @escaping @Sendable () -> Void = {},
        onDeliver: @escaping @Sendable ([String]) throws(ConnectorError) -> Void = {
            _ throws(ConnectorError) in
        }
    ) throws -> PipelineRun {
        let isOnce = once
        var pipeline = StubPipeline(in: folder) { call in
            if call < numbers.count { return ["{\"n\":\(numbers.lowerBound + call)}"] }
            return isOnce ? nil : []
        }
        pipeline.definition.name = "p"
        pipeline.definition.delivery = delivery
        pipeline.definition.commit.records = 3
        let place = Location(file: "pipeline.yaml", line: 1, column: 1)
        var sink = SinkDefinition(name: "s", from: .source, fromLocation: place) {
            (_: RunContext) throws(ConnectorError) -> OpenedSink in
            .outbox(Receiver(journal, onDeliver, giveUp))
        }
        sink.outbox = place
        pipeline.definition.sinks = [sink]
        var options = RunOptions()
        options.once = once
        options.workers = workers
        options.data = folder("data")
        options.sinkPatienceMilliseconds = 300
        return try PipelineRun.start(Plan(pipeline.definition), options: options)
    }

    private static let fails: @Sendable ([String]) throws(ConnectorError) -> Void = {
        lines throws(ConnectorError) in
        if lines.contains("{\"n\":8}") { throw ConnectorError("error: it is down") }
    }

    private func rows(_ keys: Range<Int>) -> [String] { keys.map { "p/s/\($0) {\"n\":\($0)}" } }

    @Test(arguments: [1, 3])
    func `rows come once, under numbers that go on over runs`(workers: Int) throws {
        for part in [1..<21, 21..<21, 21..<30] {
            let journal = Journal()
            _ = try start(part, journal, workers: workers).wait().get()
            #expect(journal.all == rows(part) + ["finish"])
        }
    }

    @Test(arguments: [1, 3])
    func `what a sink has not taken comes again, under the same keys and before new rows`(
        workers: Int
    ) throws {
        let first = Journal()
        let failed = try start(1..<21, first, workers: workers, onDeliver: Self.fails).wait()
        #expect(throws: PipelineError.self) { try failed.get() }
        #expect(first.contains("abandon") && !first.contains("finish"))
        let taken = first.all.filter { $0.hasPrefix("p/") }
        #expect(taken == Array(rows(1..<21).prefix(taken.count)))
        #expect(taken.count < 8)
        let second = Journal()
        _ = try start(100..<102, second, workers: workers).wait().get()
        let found = second.all.filter { $0.hasPrefix("p/") }
        // Delivered rows whose note was not kept any more come twice; not one is left out.
        let old = found.filter { !$0.contains("{\"n\":10") || $0.hasSuffix("{\"n\":10}") }
        let numbers = old.compactMap { $0.split(separator: "/").last?.split(separator: " ").first }
            .compactMap { Int($0) }
        let start = try #require(numbers.first)
        #expect(start <= taken.count + 1, "no gap")
        #expect(old == rows(start..<(start + old.count)))
        #expect(Array(found.prefix(old.count)) == old, "what is old comes first")
        #expect(found.count == old.count + 2)
        #expect(found.last == "p/s/\(start + old.count + 1) {\"n\":101}")
    }

    @Test func `with at_most_once what was handed over does not come again`() throws {
        let first = Journal()
        let failed = try start(
            1..<21, first, delivery: .atMostOnce, onDeliver: Self.fails
        ).wait()
        #expect(throws: PipelineError.self) { try failed.get() }
        let second = Journal()
        _ = try start(100..<102, second, delivery: .atMostOnce).wait().get()
        let taken = (first.all + second.all).filter { $0.hasPrefix("p/") }
        #expect(Set(taken).count == taken.count, "none comes twice")
        #expect(second.all.count == 3 && second.all[1].hasSuffix("{\"n\":101}"))
    }

    @Test func `a stopped run leaves a sink that does not move, and its rows come later`() throws {
        let isGivenUp = Channel<Void>(capacity: 1)
        let isAsked = Channel<Void>(capacity: 1)
        let first = Journal()
        do {
            let run = try start(
                1..<4, first, once: false, giveUp: { isGivenUp.close() },
                onDeliver: { _ throws(ConnectorError) in
                    isAsked.close()
                    _ = isGivenUp.receive()
                    throw ConnectorError("error: it does not answer")
                })
            _ = isAsked.receive()
            run.requestStop()
            #expect(try run.wait().get().read == 3, "that is no failure")
        }
        #expect(!first.contains("finish"))
        let second = Journal()
        _ = try start(4..<6, second).wait().get()
        #expect(second.all == rows(1..<6) + ["finish"])
    }

    @Test func `a slow sink makes the source wait, and nothing grows`() throws {
        let mayGoOn = Channel<Void>(capacity: 1)
        let journal = Journal()
        let text = String(repeating: "x", count: 64 << 10)
        let calls = Counter()
        var pipeline = StubPipeline(in: folder) { call in
            calls.add()
            return call < 400 ? ["{\"n\":\(call),\"text\":\"\(text)\"}"] : nil
        }
        let place = Location(file: "pipeline.yaml", line: 1, column: 1)
        let received = Counter()
        var sink = SinkDefinition(name: "s", from: .source, fromLocation: place) {
            (_: RunContext) throws(ConnectorError) -> OpenedSink in
            .outbox(
                Receiver(
                    journal,
                    { lines throws(ConnectorError) in
                        _ = mayGoOn.receive()
                        for _ in lines { received.add() }
                    }, {}))
        }
        sink.outbox = place
        pipeline.definition.sinks = [sink]
        var options = RunOptions()
        options.once = true
        options.data = folder("data")
        let run = try PipelineRun.start(Plan(pipeline.definition), options: options)
        // The source is asked no more while the sink waits.
        var seen = -1
        let pause = Channel<Void>(capacity: 1)
        while calls.value != seen || seen < 10 {
            seen = calls.value
            _ = pause.receive(milliseconds: 300)
        }
        let bytes = calls.value * (64 << 10)
        #expect(bytes < Outbox.byteLimit + 8 * Outboxes.commitBytes, "\(bytes)")
        mayGoOn.close()
        #expect(try run.wait().get().read == 400)
        #expect(received.value == 400)
    }

    @Test func `a run that keeps nothing has no outbox`() throws {
        var options = RunOptions()
        options.once = true
        var pipeline = StubPipeline(in: folder) { _ in nil }
        pipeline.addSink("s")
        pipeline.definition.sinks[0].outbox = Location(file: "pipeline.yaml", line: 3, column: 9)
        let plan = try Plan(pipeline.definition)
        let error = #expect(throws: PipelineError.self) {
            _ = try PipelineRun.start(plan, options: options)
        }
        #expect(error?.exitCode == 2)
        #expect(
            error?.description.hasPrefix("pipeline.yaml:3:9: error: an outbox needs a st") == true)
        #expect(pipeline.journal.all.isEmpty)
    }
}
