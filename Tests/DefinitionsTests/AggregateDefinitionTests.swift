import Connecting
import Connectors
import Definitions
import TestKit
import Testing
import Windowing

/// `aggregate:` and `time:` as they are read when they are right.
@Suite struct AggregateDefinitionTests {
    private func read(_ yaml: String) throws -> Definition {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        folder.write(yaml, to: "pipeline.yaml")
        folder.write("return {}", to: "rules/score.lua")
        folder.write("return {}", to: "rules/other.lua")
        return try readDefinition(
            folder: folder.path, environment: [:], catalogue: .standard)
    }

    private func stage(_ aggregate: String, sink: String = "{null: {}}") throws -> AggregateStage {
        let definition = try read(
            """
            source: {file: {path: x}}
            time: {field: at}
            stages:
              - name: agg
                aggregate: \(aggregate)
            sinks: [\(sink)]
            """)
        guard case .aggregate(let stage) = definition.stages[0].work else {
            throw PipelineError(exitCode: 1, "no aggregate stage")
        }
        return stage
    }

    private func window(_ text: String) throws -> WindowKind {
        try stage("{window: \(text), compute: {n: count}}").definition.window
    }

    private func compute(
        _ text: String
    ) throws -> (compute: ComputeDefinition, columns: [ColumnDefinition]) {
        let definition = try stage("{window: {tumbling: 1s}, compute: {n: \(text)}}").definition
        return (try #require(definition.computes.first), definition.columns)
    }

    @Test func `a full aggregate stage is read`() throws {
        let stage = try stage(
            """
            {
                  key: [user_id, country], window: {tumbling: 60s}, allowed_lateness: 5s,
                  compute: {
                    videos: count, avg_ms: avg(time_ms), p95_ms: "quantile(time_ms, 0.95)",
                    failed: count where status == "failed" and time_ms > 0,
                    share: "ratio_if(status == 'failed')", score: rules/score.lua,
                    again: rules/score.lua where time_ms > 5, other: rules/other.lua,
                    last: last(time_ms)}}
            """)
        let definition = stage.definition
        #expect(definition.keys == ["user_id", "country"])
        #expect(definition.window == .tumbling(size: 60_000))
        #expect(definition.allowedLateness == 5000)
        #expect(definition.emission == .close)
        #expect(
            definition.columns == [
                ColumnDefinition("time_ms", requirement: .number, needsText: true),
                ColumnDefinition("status"),
            ])
        let isFailed = Comparison(column: 1, .equal, .string("failed"))
        let isLong = Comparison(column: 0, .greater, .number(5))
        #expect(
            definition.computes == [
                ComputeDefinition("videos", .count),
                ComputeDefinition("avg_ms", .average, column: 0),
                ComputeDefinition("p95_ms", .quantile(0.95), column: 0),
                ComputeDefinition(
                    "failed", .count,
                    filter: [isFailed, Comparison(column: 0, .greater, .number(0))]),
                ComputeDefinition("share", .ratioIf([isFailed])),
                ComputeDefinition("score", .user(0)),
                ComputeDefinition("again", .user(0), filter: [isLong]),
                ComputeDefinition("other", .user(1)),
                ComputeDefinition("last", .last, column: 0),
            ])
        #expect(stage.userFiles.map(\.path) == ["rules/score.lua", "rules/other.lua"])
        #expect(
            stage.userFiles.map(\.location.description) == [
                "pipeline.yaml:10:55", "pipeline.yaml:11:58",
            ])
        #expect(stage.computeLocations.first?.description == "pipeline.yaml:8:9")
        #expect(stage.revisionLocation?.description == "pipeline.yaml:6:75")
        #expect(stage.revisesRows)
    }

    @Test(arguments: [
        ("{tumbling: 60s}", WindowKind.tumbling(size: 60_000)),
        ("{tumbling: 60s, offset: 5s}", .tumbling(size: 60_000, offset: 5000)),
        ("{tumbling: 60s, offset: -5s}", .tumbling(size: 60_000, offset: -5000)),
        ("{tumbling: 1 day}", .tumbling(size: 86_400_000)),
        ("{tumbling: 2 days, offset: 1h}", .tumbling(size: 172_800_000, offset: 3_600_000)),
        ("{hopping: {size: 60s, every: 20s}}", .hopping(size: 60_000, every: 20_000)),
        (
            "{hopping: {size: 60s, every: 25s, offset: 1s}}",
            .hopping(size: 60_000, every: 25_000, offset: 1000)
        ),
        ("{session: {gap: 30s}}", .session(gap: 30_000)),
        ("{count: {size: 7}}", .count(size: 7)),
        ("{rolling: {range: 5m}}", .rolling(range: 300_000)),
        ("{rolling: {rows: 10}}", .rollingRows(10)),
        ("global, ttl: 1h, emit: update", .global),
        ("{global: {}}, ttl: 1h, emit: {every: 10s}", .global),
        ("{tumbling: 1 week}", .calendar(CalendarPeriod(.week, zone: .utc))),
        ("{tumbling: 3 months}", .calendar(CalendarPeriod(.month, count: 3, zone: .utc))),
        ("{tumbling: 1 day, timezone: UTC}", .calendar(CalendarPeriod(.day, zone: .utc))),
    ])
    func `windows are read`(text: String, expected: WindowKind) throws {
        #expect(try window(text) == expected)
    }

    @Test(arguments: [
        ("1 day", CalendarPeriod.Unit.day, 1), ("2 weeks", .week, 2), ("1month", .month, 1),
    ])
    func `calendar windows are read with their zone`(
        text: String, unit: CalendarPeriod.Unit, count: Int
    ) throws {
        let window = try window("{tumbling: \(text), timezone: Australia/Lord_Howe}")
        guard case .calendar(let period) = window else {
            Issue.record("\(window)")
            return
        }
        #expect(period.unit == unit)
        #expect(period.count == count)
        #expect(period.zone.name == "Australia/Lord_Howe")
        #expect(period.zone.offset(atUTC: 1_712_415_600_000) == 37_800_000)
    }

    @Test func `a pattern goes with a time zone`() throws {
        let definition = try read(
            "source: {file: {path: x}}\nsinks: [{null: {}}]\n"
                + "time: {field: at, format: \"%Y/%m/%d %H:%M\", timezone: Europe/Berlin}\n")
        #expect(definition.time?.zone.name == "Europe/Berlin")
    }

    @Test(arguments: [
        ("sum(x)", AggregateFunction.sum, ColumnDefinition("x", requirement: .number)),
        ("avg(x)", .average, ColumnDefinition("x", requirement: .number)),
        ("min(x)", .minimum, ColumnDefinition("x", requirement: .scalar)),
        ("max(x)", .maximum, ColumnDefinition("x", requirement: .scalar)),
        ("first(x)", .first, ColumnDefinition("x", needsText: true)),
        ("last(a.b_2.c)", .last, ColumnDefinition("a.b_2.c", needsText: true)),
        ("stddev(x)", .standardDeviation, ColumnDefinition("x", requirement: .number)),
        ("variance(x)", .variance, ColumnDefinition("x", requirement: .number)),
        ("count_distinct(x)", .countDistinct, ColumnDefinition("x", needsText: true)),
        ("\"quantile(x, 1)\"", .quantile(1), ColumnDefinition("x", requirement: .number)),
        ("\"top(x, 3)\"", .top(3), ColumnDefinition("x", requirement: .scalar, needsText: true)),
        ("\"collect(x, 100)\"", .collect(100), ColumnDefinition("x", needsText: true)),
        ("mode(größe)", .mode, ColumnDefinition("größe", requirement: .scalar, needsText: true)),
        ("sum( `a-b c (d)` )", .sum, ColumnDefinition("a-b c (d)", requirement: .number)),
    ])
    func `aggregates are read, with what they demand of their column`(
        text: String, function: AggregateFunction, column: ColumnDefinition
    ) throws {
        let (compute, columns) = try compute(text)
        #expect(compute == ComputeDefinition("n", function, column: 0))
        #expect(columns == [column])
    }

    @Test(arguments: ["count", "count()", "count(*)"])
    func `count needs no field`(text: String) throws {
        let (compute, columns) = try compute(text)
        #expect(compute == ComputeDefinition("n", .count))
        #expect(columns.isEmpty)
    }

    @Test func `count of a field leaves out null and missing ones`() throws {
        let (compute, columns) = try compute("count(x)")
        #expect(compute.filter == [Comparison(column: 0, .notEqual, .null)])
        #expect(columns == [ColumnDefinition("x")])
    }

    @Test(arguments: [
        ("x == 1", Comparison(column: 0, .equal, .number(1))),
        ("x != -1.5e3", Comparison(column: 0, .notEqual, .number(-1500))),
        ("x < 'a b'", Comparison(column: 0, .less, .string("a b"))),
        ("x <= \"it's\"", Comparison(column: 0, .lessOrEqual, .string("it's"))),
        ("x > 'it\\'s'", Comparison(column: 0, .greater, .string("it's"))),
        ("x>=9007199254740992", Comparison(column: 0, .greaterOrEqual, .number(9007199254740992))),
        ("x == true", Comparison(column: 0, .equal, .boolean(true))),
        ("x == false", Comparison(column: 0, .equal, .boolean(false))),
        ("x != null", Comparison(column: 0, .notEqual, .null)),
    ])
    func `conditions are read`(text: String, expected: Comparison) throws {
        #expect(try compute("count where \(text)").compute.filter == [expected])
        let long = try compute("{aggregate: count, where: \(text)}")
        #expect(long.compute.filter == [expected])
    }

    @Test func `a field may be named as it likes`() throws {
        let (compute, columns) = try compute("count where `and` == 'true' and a.b.c > 0")
        #expect(
            compute.filter == [
                Comparison(column: 0, .equal, .string("true")),
                Comparison(column: 1, .greater, .number(0)),
            ])
        #expect(columns == [ColumnDefinition("and"), ColumnDefinition("a.b.c")])
    }

    @Test func `a stage without key has one window for all`() throws {
        let definition = try stage("{window: {tumbling: 1s}, compute: {n: count}}").definition
        #expect(definition.keys.isEmpty)
        #expect(definition.timeToLive == nil)
        #expect(
            try stage("{key: u, window: {tumbling: 1s}, compute: {n: count}}").definition.keys == [
                "u"
            ])
    }

    @Test func `emission and time to live are read`() throws {
        let text = "{window: global, ttl: 1h, emit: {every: 10s}, compute: {n: count}}"
        let stage = try stage(text)
        #expect(stage.definition.emission == .every(10_000))
        #expect(stage.definition.timeToLive == 3_600_000)
        let other = try self.stage(
            "{window: {session: {gap: 1s}}, emit: update, compute: {n: count}}",
            sink: "{file: {path: o, upsert: true}}")
        #expect(other.definition.emission == .update)
    }

    @Test(arguments: [
        ("rfc3339", TimeFormat.rfc3339), ("epoch_s", .epochSeconds),
        ("epoch_ms", .epochMilliseconds), ("epoch_us", .epochMicroseconds),
        ("epoch_ns", .epochNanoseconds), ("\"%Y/%m/%d %H:%M\"", .pattern("%Y/%m/%d %H:%M")),
        ("\"%e %b %Y %H:%M:%S.%f %z\"", .pattern("%e %b %Y %H:%M:%S.%f %z")),
        ("\"%Y-%j 100%%\"", .pattern("%Y-%j 100%%")),
    ])
    func `formats of time are read`(text: String, expected: TimeFormat) throws {
        let definition = try read(
            "source: {file: {path: x}}\nsinks: [{null: {}}]\n"
                + "time: {field: at, format: \(text), idle_after: 30s}\n")
        #expect(definition.time?.format == expected)
        #expect(definition.time?.zone == .utc)
        #expect(definition.time?.idleMilliseconds == 30_000)
        #expect(definition.time?.maxFutureSkewMilliseconds == nil)
    }

    @Test func `several sources keep their names and their order`() throws {
        let definition = try read(
            "sources: {b: {file: {path: x}}, a: {file: {path: y}}}\nsinks: [{null: {}}]\n")
        #expect(definition.sources.map(\.name) == ["b", "a"])
        #expect(definition.sources.map(\.location.column) == [15, 37])
        #expect(definition.source?.name == "b")
    }
}
