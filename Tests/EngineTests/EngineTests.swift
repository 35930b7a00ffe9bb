import Connecting
import Definitions
import Records
import Scripting
import TestKit
import Testing
import Threads

@testable import Engine

@Suite(.timeLimit(.minutes(30))) struct EngineTests {
    @Test(arguments: [1, 2, 5])
    func `batches that take unequal time are still written in the order of reading`(
        workers: Int
    ) throws {
        var pipeline = StubPipeline { call in
            call == 200 ? nil : (0..<3).map { "{\"i\":\(call * 3 + $0)}" }
        }
        pipeline.addStage(
            "slow",
            unsafe .native { bytes in
                var random = SeededRandom(seed: UInt64(bytes.count))
                let rounds = (unsafe bytes.last(where: { $0 < 0x3A }) ?? 0) % 5 == 0 ? 40_000 : 10
                for _ in 0..<rounds where random.next() == 0 { return .drop("never") }
                return .pass
            })
        pipeline.addSink("out", from: .stage(0, output: nil))
        let summary = try pipeline.start(workers: workers).wait().get()
        #expect(pipeline.rows("out") == (0..<600).map { "{\"i\":\($0)}" })
        #expect(summary.read == 600)
        #expect(summary.delivered.map(\.rows) == [600])
        #expect(pipeline.journal.all.last == "out finish")
    }

    @Test func `what a stage in Swift decides is done and counted`() throws {
        var pipeline = StubPipeline { call in
            call == 0 ? (0..<5).map { "{\"i\":\($0)}" } : nil
        }
        pipeline.addStage(
            "pick",
            unsafe .native { bytes in
                switch unsafe bytes[5] {
                case 0x30: .pass
                case 0x31: .replace(Array("{\"new\":true}".utf8))
                case 0x32: .drop("two")
                case 0x33: .reject("three")
                default: .route("side")
                }
            })
        pipeline.addSink("main", from: .stage(0, output: nil))
        pipeline.addSink("side", from: .stage(0, output: "side"))
        pipeline.addSink("dead", from: .deadLetters)
        let summary = try pipeline.start().wait().get()
        #expect(pipeline.rows("main") == ["{\"i\":0}", "{\"new\":true}"])
        #expect(pipeline.rows("side") == ["{\"i\":4}"])
        #expect(pipeline.rows("dead").count == 1)
        #expect(pipeline.rows("dead").first?.contains("three") == true)
        #expect(summary.counts.dropped == ["two": 1])
        #expect(summary.counts.deadLetters == 1)
    }

    @Test(arguments: [1, 4])
    func `a stop is orderly: what was read is delivered and the sinks are finished`(
        workers: Int
    ) throws {
        let begun = Channel<Void>(capacity: 1)
        var pipeline = StubPipeline { call in ["{\"i\":\(call)}"] }
        pipeline.addSink("out") { (rows) throws(ConnectorError) in
            if rows.contains("{\"i\":20}") { begun.close() }
        }
        let run = try pipeline.start(workers: workers, once: false)
        _ = begun.receive()
        run.requestStop()
        let summary = try run.wait().get()
        #expect(summary.read > 20)
        #expect(pipeline.rows("out") == (0..<summary.read).map { "{\"i\":\($0)}" })
        #expect(pipeline.journal.all.last == "out finish")
        #expect(run.progress == (summary.read, summary.read, 0))
    }

    @Test(arguments: [1, 3])
    func `a slow sink makes the source wait, so that memory stays bounded`(workers: Int) throws {
        let gate = Channel<Void>(capacity: 1)
        let reads = Counter()
        var pipeline = StubPipeline { call in
            reads.add()
            return call == 50 ? nil : ["{\"i\":\(call)}"]
        }
        pipeline.addSink("out") { (_) throws(ConnectorError) in _ = gate.receive() }
        let run = try pipeline.start(workers: workers)
        // One worker reads, runs and writes by itself, so it has a single batch at a time.
        let inFlight = workers == 1 ? 1 : workers * 2 + 2
        let pause = Channel<Void>(capacity: 1)
        for _ in 0..<10_000 where reads.value < inFlight { _ = pause.receive(milliseconds: 1) }
        _ = pause.receive(milliseconds: 30)
        #expect(reads.value == inFlight)
        gate.close()
        #expect(try run.wait().get().read == 50)
    }

    @Test func `rows become visible as soon as no more are at hand`() throws {
        let journal = Channel<Journal>(capacity: 1)
        let pause = Channel<Void>(capacity: 1)
        let seen = Counter()
        var pipeline = StubPipeline { call in
            if call == 0 { return ["{\"i\":1}"] }
            guard let known = journal.receive() else { return nil }
            let isFlushed = known.all.suffix(2) == ["out {\"i\":1}", "out flush"]
            if isFlushed { seen.add() }
            guard !isFlushed && call < 3000 else { return nil }
            journal.send(known)
            _ = pause.receive(milliseconds: 1)
            return []
        }
        pipeline.addSink("out")
        journal.send(pipeline.journal)
        _ = try pipeline.start(once: false).wait().get()
        #expect(seen.value == 1)
    }

    @Test(arguments: [1, 3])
    func `a source that fails ends the run after its rows are delivered`(workers: Int) throws {
        var pipeline = StubPipeline { (call) throws(ConnectorError) in
            if call == 30 { throw ConnectorError("error: the tape is torn") }
            return ["{\"i\":\(call)}"]
        }
        pipeline.addSink("out")
        let error = failure(of: try pipeline.start(workers: workers))
        #expect(error?.exitCode == 1)
        #expect(error?.description == "error: the tape is torn")
        #expect(pipeline.rows("out") == (0..<30).map { "{\"i\":\($0)}" })
        #expect(pipeline.journal.all.suffix(2) == ["out flush", "out abandon"])
    }

    @Test(arguments: [1, 3])
    func `a sink that fails stops everybody, and no sink is finished`(workers: Int) throws {
        var pipeline = StubPipeline { call in ["{\"i\":\(call)}"] }
        pipeline.addSink("good")
        pipeline.addSink("bad") { (rows) throws(ConnectorError) in
            if rows == ["{\"i\":9}"] { throw ConnectorError("error: the disk is full") }
        }
        let error = failure(of: try pipeline.start(workers: workers, once: false))
        #expect(error?.exitCode == 1)
        #expect(error?.description == "error: the disk is full")
        #expect(pipeline.journal.all.suffix(2) == ["good abandon", "bad abandon"])
        #expect(pipeline.rows("bad").count == 9)
    }

    private func failure(of run: PipelineRun) -> PipelineError? {
        guard case .failure(let error) = run.wait() else { return nil }
        return error
    }
}
