import Connecting
import Definitions
import Scripting
import TestKit
import Testing
import Threads

@testable import Connectors
@testable import Engine

/// The engine's side of the contracts with sources and sinks, with one lane and with several.
@Suite(.timeLimit(.minutes(30))) struct ContractTests {
    private static let place = Location(file: "pipeline.yaml", line: 1, column: 1)
    private let folder = TemporaryFolder()

    /// A pipeline between a scripted source and sinks, with a stage in between.
    private func definition(
        _ steps: [ScriptedSource.Step], _ watch: ScriptedSource.Watch,
        sinks: [(name: String, open: @Sendable (RunContext) throws(ConnectorError) -> OpenedSink)]
    ) -> Definition {
        var definition = Definition(folder: folder.path)
        definition.name = "p"
        definition.commit.records = 3
        definition.source = SourceDefinition(name: "source", location: Self.place) {
            (context: RunContext) throws(ConnectorError) -> any Source in
            ScriptedSource(steps, watch, context)
        }
        definition.stages = [
            StageDefinition(
                name: "stage", work: unsafe .native { _ in .pass }, from: .source,
                fromLocation: Self.place, location: Self.place)
        ]
        definition.sinks = sinks.map {
            SinkDefinition(
                name: $0.name, from: .stage(0, output: nil), fromLocation: Self.place, open: $0.open
            )
        }
        return definition
    }

    private func run(_ definition: Definition, lanes: Int) throws -> Result<Summary, PipelineError>
    {
        var options = RunOptions()
        options.once = true
        options.workers = lanes
        options.data = folder("data")
        return try PipelineRun.start(Plan(definition), options: options).wait()
    }

    private static func rows(_ count: Int, of partition: String) -> [String] {
        (0..<count).map { "{\"partition\":\"\(partition)\",\"n\":\($0)}" }
    }

    // MARK: Sources

    @Test(arguments: [1, 2, 3])
    func `what was read of a partition is committed before it is given back`(lanes: Int) throws {
        let watch = ScriptedSource.Watch()
        let sink = SinkWatch([])
        let steps: [ScriptedSource.Step] = [
            .records(500, of: "a"), .records(7, of: "b"), .records(1, of: "a"), .revoke(["a"]),
            .records(40, of: "b"), .nothing, .revoke(["b"]), .records(2, of: "c"), .nothing,
            .revoke(["c"]), .revoke(["d"]),
        ]
        let definition = definition(
            steps, watch, sinks: [("s", { _ in .rows(ScriptedSink(sink)) })])
        let summary = try run(definition, lanes: lanes).get()
        #expect(watch.violations.isEmpty, "\(watch.violations)")
        #expect(sink.violations.isEmpty, "\(sink.violations)")
        #expect(watch.events == ["released a", "released b", "released c", "released d"])
        #expect(summary.read == 550)
        #expect(Set(sink.rows).count == 550 && sink.rows.count == 550)
        #expect(["a", "b", "c"].map { watch.keptCount(of: $0) } == [501, 47, 2])
    }

    @Test(arguments: [1, 2])
    func `a source is asked again as its error says, and the batch is empty then`(lanes: Int) throws
    {
        let watch = ScriptedSource.Watch()
        let sink = SinkWatch([])
        let steps: [ScriptedSource.Step] = [
            .fail(ConnectorError("soon", remedy: .retry(afterMilliseconds: 1))),
            .records(4, of: "a"), .fail(ConnectorError("away", remedy: .reconnect)),
            .fail(ConnectorError("again", remedy: .retry(afterMilliseconds: 2))),
            .records(3, of: "a"),
        ]
        let definition = definition(
            steps, watch, sinks: [("s", { _ in .rows(ScriptedSink(sink)) })])
        _ = try run(definition, lanes: lanes).get()
        #expect(watch.events == ["failed soon", "failed away", "failed again"])
        #expect(watch.violations.isEmpty, "\(watch.violations)")
        #expect(sink.rows == Self.rows(7, of: "a"))
    }

    @Test(arguments: [1, 2], 0...5)
    func `a source that fails for good is finished, and the next run goes on`(
        lanes: Int, step: Int
    ) throws {
        let counts = [4, 1, 0, 300, 2]
        var steps = counts.map { ScriptedSource.Step.records($0, of: "a") }
        steps[2] = .nothing
        let all = Self.rows(counts.reduce(0, +), of: "a")
        let file: @Sendable (RunContext) throws(ConnectorError) -> OpenedSink = {
            (context) throws(ConnectorError) in
            .rows(try FileSink(path: "out.jsonl", append: false, context: context))
        }
        let first = ScriptedSource.Watch()
        let failing = Array(steps[..<step]) + [.fail(ConnectorError("it is gone"))]
        let failed = try run(definition(failing, first, sinks: [("s", file)]), lanes: lanes)
        #expect(throws: PipelineError.self) { try failed.get() }
        let done = first.readCount
        #expect(first.keptCount(of: "a") == done)
        let second = ScriptedSource.Watch()
        _ = try run(
            definition([.records(all.count - done, of: "a")], second, sinks: [("s", file)]),
            lanes: lanes
        ).get()
        #expect(first.violations.isEmpty && second.violations.isEmpty)
        #expect(folder.text("out.jsonl") == all.map { $0 + "\n" }.joined())
    }

    @Test(arguments: [1, 2]) func `a source is not read far ahead of a slow sink`(lanes: Int) throws
    {
        let watch = ScriptedSource.Watch()
        let furthest = Locked(0)
        let sink = SinkWatch([]) { taken in
            var random = SeededRandom(seed: UInt64(taken))
            for _ in 0..<20_000 where random.next() == 0 { return }
            let ahead = watch.readCount - taken
            furthest.withLock { $0 = max($0, ahead) }
        }
        let steps = (0..<600).map { _ in ScriptedSource.Step.records(10, of: "a") }
        let definition = definition(
            steps, watch, sinks: [("s", { _ in .rows(ScriptedSink(sink)) })])
        _ = try run(definition, lanes: lanes).get()
        #expect(sink.rows.count == 6000)
        let ahead = furthest.withLock { $0 }
        #expect(ahead <= 400, "\(ahead) records were read ahead")
    }

    // MARK: Sinks

    private static let answers: [ConnectorError?] = [
        ConnectorError("soon", remedy: .retry(afterMilliseconds: 1)),
        ConnectorError("away", remedy: .reconnect),
        ConnectorError("away still", remedy: .reconnect),
        ConnectorError("soon again", remedy: .retry(afterMilliseconds: 3)), nil,
        ConnectorError(
            "no", remedy: .refuse([.init(index: 0, reason: "odd"), .init(index: 2, reason: "big")])),
        nil, ConnectorError("last", remedy: .retry(afterMilliseconds: 1)),
    ]
    private static let events = [
        "soon", "away", "reconnect", "away still", "reconnect", "soon again", "no", "last",
        "finish",
    ]

    @Test(arguments: [1, 2], [false, true])
    func `a sink is called again as its error says, and refused rows are dead letters`(
        lanes: Int, hasOutbox: Bool
    ) throws {
        let watch = ScriptedSource.Watch()
        let sink = SinkWatch(Self.answers)
        let letters = SinkWatch([])
        let steps = (0..<6).map { _ in ScriptedSource.Step.records(3, of: "a") }
        var definition = definition(
            steps, watch,
            sinks: [
                (
                    "s",
                    { _ in hasOutbox ? .outbox(ScriptedOutbox(sink)) : .rows(ScriptedSink(sink)) }
                ),
                ("letters", { _ in .rows(ScriptedSink(letters)) }),
            ])
        if hasOutbox { definition.sinks[0].outbox = Self.place }
        definition.sinks[1].from = .deadLetters
        let summary = try run(definition, lanes: lanes).get()
        #expect(watch.violations.isEmpty, "\(watch.violations)")
        #expect(sink.violations.isEmpty, "\(sink.violations)")
        #expect(letters.violations.isEmpty, "\(letters.violations)")
        #expect(sink.events == Self.events)
        let all = Self.rows(18, of: "a")
        let missing = all.filter { !sink.rows.contains($0) }
        #expect(sink.rows == all.filter { !missing.contains($0) })
        #expect(missing.count == 2)
        #expect(letters.rows.count == 2)
        for (row, (letter, reason)) in zip(missing, zip(letters.rows, ["odd", "big"])) {
            #expect(letter.contains("\"kind\":\"refused\"") && letter.contains(reason))
            #expect(letter.contains(row.replacing("\"", with: "\\\"")), "\(letter)")
        }
        #expect(summary.counts.deadLetters == 2)
    }
}
