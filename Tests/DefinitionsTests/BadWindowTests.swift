import TestKit
import Testing

/// Every way to get `aggregate:` and `time:` wrong, and the whole answer to it.
@Suite struct BadWindowTests {
    typealias Case = BadConfigurationTests.Case

    /// A sound pipeline around one aggregate stage, which is written in line 3 from column 33 on.
    static func stage(_ aggregate: String, _ expected: [String]) -> Case {
        Case(
            "<S>time: {field: at}\nstages: [{name: agg, aggregate: \(aggregate)}]\n<E>", expected)
    }

    /// The window is written from column 42 on.
    static func window(_ text: String, _ expected: String...) -> Case {
        stage("{window: \(text), compute: {n: count}}", expected)
    }

    /// The computed fields are written from column 69 on.
    static func compute(_ text: String, _ expected: String...) -> Case {
        stage("{window: {tumbling: 60s}, compute: {\(text)}}", expected)
    }

    static let windows: [Case] = [
        stage(
            "{}",
            [
                "3:33: aggregate needs the key \"window\"",
                "3:33: aggregate needs the key \"compute\"",
            ]),
        stage("x", ["3:33: aggregate must be a mapping of keys"]),
        Case(
            "<S>stages: [{name: a, aggregate: {window: {tumbling: 60s}, compute: {n: count}}}]\n<E>",
            [
                "2:40: windows go by the time of records: say where it is, at the top of the file, "
                    + "such as time: {field: created_at}"
            ]),
        Case(
            "<S>stages: [{name: a, aggregate: {window: {count: {size: 1}}, compute: {n: count}}}]\n"
                + "<E>",
            [
                "2:40: windows go by the time of records: say where it is, at the top of the file, "
                    + "such as time: {field: created_at}"
            ]),
        window("60s", "3:42: \"window\" must be a mapping, such as {tumbling: 60s}, or global"),
        window(
            "{}",
            "3:42: the window has no kind: one of tumbling, hopping, session, count, rolling, global"
        ),
        window("{tumblin: 60s}", "3:43: unknown window \"tumblin\"; did you mean \"tumbling\"?"),
        window(
            "{sliding: 60s}",
            "3:43: unknown window \"sliding\"; there are tumbling, hopping, session, count, "
                + "rolling, global"),
        window(
            "{tumbling: 60s, session: {gap: 1s}}",
            "3:58: a window has one kind: one of tumbling, hopping, session, count, rolling, global"
        ),
        window(
            "{tumbling: 60s, ofset: 1s}",
            "3:58: unknown key \"ofset\" in window; did you mean \"offset\"?"),
        window(
            "{tumbling: 0s}",
            "3:53: \"tumbling\" must be a duration above zero, such as 500ms, 2s or 10m"),
        window(
            "{tumbling: -60s}",
            "3:53: \"tumbling\" must be a duration above zero, such as 500ms, 2s or 10m"),
        window(
            "{tumbling: 60}",
            "3:53: \"tumbling\" must be a duration above zero, such as 500ms, 2s or 10m; 60 needs a unit"
        ),
        window(
            "{tumbling: 1500us}",
            "3:53: \"tumbling\" must be whole milliseconds, such as 500ms, 2s or 10m"),
        window(
            "{tumbling: 0 months}",
            "3:53: \"tumbling\" must be from 1 day to 100 years, such as 1 day or 1 month"),
        window(
            "{tumbling: 1 week, offset: 1h}",
            "3:61: calendar windows begin at midnight; they have no offset"),
        window(
            "{tumbling: 60s, offset: 60s}",
            "3:66: \"offset\" must be less than the window's size"),
        window(
            "{hopping: {size: 60s, every: 20s, offset: -20s}}",
            "3:84: \"offset\" must be less than \"every\""),
        window(
            "{tumbling: 60s, offset: soon}",
            "3:66: \"offset\" must be a duration, such as 500ms, 2s or 10m"),
        window(
            "{tumbling: 6h, timezone: UTC}",
            "3:67: a time zone is for windows of days, weeks or months, such as 1 day"),
        window(
            "{session: {gap: 1s}, timezone: UTC}", "3:63: \"timezone\" goes with tumbling"),
        window("{hopping: 60s}", "3:52: window.hopping must be a mapping of keys"),
        window("{hopping: {size: 60s}}", "3:52: window.hopping needs the key \"every\""),
        window(
            "{hopping: {size: -1s, every: 0s}}",
            "3:59: \"size\" must be a duration above zero, such as 500ms, 2s or 10m",
            "3:71: \"every\" must be a duration above zero, such as 500ms, 2s or 10m"),
        window(
            "{hopping: {size: 60s, every: 61s}}",
            "3:71: \"every\" must not be larger than size: records would be left out"),
        window(
            "{hopping: {size: 1d, every: 1ms}}",
            "3:70: \"every\" puts each record into 86400000 windows; the limit is 10000"),
        window("{session: {}}", "3:52: window.session needs the key \"gap\""),
        window(
            "{session: {gap: 0s}}",
            "3:58: \"gap\" must be a duration above zero, such as 500ms, 2s or 10m"),
        window(
            "{count: {size: 0}}",
            "3:57: \"size\" must be a whole number from 1 to 1000000000"),
        window(
            "{count: {size: -7}}",
            "3:57: \"size\" must be a whole number from 1 to 1000000000"),
        window(
            "{rolling: {}}",
            "3:52: a rolling window has either a range, such as {range: 5m}, or {rows: 10}"),
        window(
            "{rolling: {range: 5m, rows: 10}}",
            "3:52: a rolling window has either a range, such as {range: 5m}, or {rows: 10}"),
        window(
            "{rolling: {rows: 0}}", "3:59: \"rows\" must be a whole number from 1 to 1000000"),
    ]

    static let emissions: [Case] = [
        window(
            "global, emit: update",
            "3:42: a global window never ends: give ttl, after which a silent key is forgotten"),
        window(
            "global, ttl: 1h",
            "3:42: a global window never closes: say emit: update or emit: {every: 10s}"),
        window(
            "{global: {}}, ttl: 1h, emit: close",
            "3:71: a global window never closes: say emit: update or emit: {every: 10s}"),
        window(
            "{rolling: {rows: 3}}, emit: update",
            "3:64: a rolling window writes one row for each record; remove emit"),
        window(
            "{tumbling: 1s}, emit: always", "3:64: \"emit\" must be close, update or {every: 10s}"),
        window(
            "{tumbling: 1s}, emit: {every: 0s}",
            "3:72: \"every\" must be a duration above zero, such as 500ms, 2s or 10m"),
        window(
            "{tumbling: 1s}, allowed_lateness: -5s",
            "3:76: \"allowed_lateness\" must be a duration, such as 500ms, 2s or 10m"),
        window(
            "{count: {size: 3}}, allowed_lateness: 5s",
            "3:62: only tumbling, hopping and session windows can be late"),
        window(
            "{tumbling: 1s}, ttl: 1h",
            "3:58: \"ttl\" is for global, count and rolling windows; this one ends by itself"),
    ]

    /// Rows that are revised, and where they may not go; the stage stands in line 3.
    static func revising(_ option: String, _ more: String, _ expected: String...) -> Case {
        Case(
            "<S>time: {field: at}\n"
                + "stages: [{name: agg, aggregate: {window: {tumbling: 1s}, \(option), "
                + "compute: {n: count}}}\(more)\n", expected)
    }

    static func refusal(_ column: Int, _ sinks: String) -> String {
        "3:\(column): this makes rows that are revised later, and the sink \(sinks) only "
            + "appends; rows carry revision and is_final: say upsert: true in the "
            + "sink when its readers keep the last one, or let windows close once"
    }

    static let revisions: [Case] = [
        revising("emit: update", "]\nsinks: [{file: {path: o}}]", refusal(64, "\"agg\"")),
        revising(
            "emit: {every: 1s}", "]\nsinks: [{file: {path: o}}, {name: b, stdout: {}}]",
            refusal(64, "\"agg\", \"b\"")),
        revising(
            "allowed_lateness: 5s", "]\nsinks: [{stdout: {}}]", refusal(76, "\"agg\"")),
        revising(
            "emit: update",
            ", {name: s, transform: rules/a.lua}]\nsinks: [{file: {path: o}}]",
            refusal(64, "\"s\"")),
        revising(
            "emit: update",
            ", {name: b, from: agg, aggregate: {window: {tumbling: 1s}, compute: {n: count}}}]\n"
                + "sinks: [{null: {}}]",
            "3:111: \"agg\" revises its rows, and \"b\" would count each revision; let windows of "
                + "\"agg\" close once"),
        revising("emit: update", "]\nsinks: [{null: {}}, {from: agg.late, file: {path: o}}]"),
        revising("emit: update", "]\nsinks: [{file: {path: o, upsert: true}}]"),
        revising("emit: update", "]\nsinks: [{stdout: {upsert: true}}]"),
        revising("emit: close", "]\nsinks: [{stdout: {}}, {from: agg.late, file: {path: o}}]"),
        revising(
            "emit: close", "]\nsinks: [{from: agg.lat, null: {}}]",
            "4:16: an aggregate stage has the outputs main (from: agg) and late (from: agg.late)"),
        revising(
            "emit: close", ", {name: b, from: agg.main, route: rules/a.lua}]\nsinks: [{null: {}}]",
            "3:110: an aggregate stage has the outputs main (from: agg) and late (from: agg.late)"),
    ]

    static let computes: [Case] = [
        compute(
            "",
            "3:68: \"compute\" must name at least one field, such as {events: count, total: sum(price)}"
        ),
        stage(
            "{window: {tumbling: 60s}, compute: count}",
            [
                "3:68: \"compute\" must map names to aggregates, such as {events: count, total: sum(price)}"
            ]),
        compute("n: summ(x)", "3:72: unknown aggregate \"summ\"; did you mean \"sum\"?"),
        compute("n: average(x)", "3:72: unknown aggregate \"average\"; did you mean \"avg\"?"),
        compute(
            "n: zebra(x)",
            "3:72: unknown aggregate \"zebra\"; there are count, sum, avg, min, max, first, last, "
                + "stddev, variance, count_distinct, quantile, top, collect, ratio_if, mode"),
        compute("n: sum", "3:75: sum needs parentheses: sum(FIELD)"),
        compute("n: sum(x", "3:77: \")\" is missing at the end of sum"),
        compute("n: \"sum(x, y)\"", "3:78: \")\" is missing before \",\"; sum takes one field"),
        compute("n: sum()", "3:76: sum needs a field: sum(FIELD)"),
        compute("n: sum('x')", "3:76: a field is written without quotes, or in backticks"),
        compute("n: sum(a..b)", "3:76: \"a..b\" is no path of names joined by dots"),
        compute(
            "n: sum(a-b)",
            "3:77: \"-\" has no meaning here; a name with other signs stands in backticks"),
        compute("n: sum(`a-b)", "3:76: the name that begins here has no closing `"),
        compute("n: sum(x) y", "3:79: \"y\" is too much; only where CONDITION may follow"),
        compute("n: null", "3:72: \"n\" must be an aggregate, such as sum(price), or a .lua file"),
        compute("n: 7", "3:72: a computed field is an aggregate, such as sum(price)"),
        compute(
            "n: quantile(x, 0.5)",
            "3:72: the comma ends this value; put it in quotes: \"quantile(x, 0.5)\""),
        compute(
            "n: count where x == 'a, b', m: summ(x)",
            "3:72: the comma ends this value; put it in quotes: \"count where x == 'a, b'\"",
            "3:100: unknown aggregate \"summ\"; did you mean \"sum\"?"),
        compute(
            "n: sum(a, b, c), m: null",
            "3:72: the comma ends this value; put it in quotes: \"sum(a, b, c)\"",
            "3:89: \"m\" must be an aggregate, such as sum(price), or a .lua file"),
        compute(
            "n: \"quantile(x, 1.5)\"",
            "3:85: the rank of a quantile is a number from 0 to 1, such as 0.95"),
        compute(
            "n: \"quantile(x, -0.1)\"",
            "3:85: the rank of a quantile is a number from 0 to 1, such as 0.95"),
        compute(
            "n: quantile(x)", "3:82: quantile needs a number after the field: quantile(FIELD, 0.95)"
        ),
        compute("n: \"top(x, 0)\"", "3:80: this must be a whole number from 1 to 1000"),
        compute("n: \"collect(x, 1.5)\"", "3:84: this must be a whole number from 1 to 100000"),
        compute("n: count, n: count", "3:79: the key \"n\" is given twice in this mapping"),
        compute("window_end: count", "3:69: rows have a field \"window_end\" of their own"),
        compute("revision: count", "3:69: rows have a field \"revision\" of their own"),
        stage(
            "{key: [u, u, is_final], window: {tumbling: 60s}, compute: {u: count}}",
            [
                "3:43: the key field \"u\" is given twice",
                "3:46: rows have a field \"is_final\" of their own",
                "3:92: \"u\" is already a key field",
            ]),
        compute("n: rules/b.lua", "3:72: rules/b.lua: no such file"),
        compute("n: {where: x == 1}", "3:72: compute.n needs the key \"aggregate\""),
        compute(
            "n: {aggregate: count, wher: x == 1}",
            "3:91: unknown key \"wher\" in compute.n; did you mean \"where\"?"),
    ]

    static let conditions: [Case] = [
        compute("n: count where", "3:83: a condition needs a field: status == 'failed'"),
        compute(
            "n: count where x = 1",
            "3:86: a condition compares with == != < <= > or >=; equality is =="),
        compute("n: count where x", "3:85: a condition compares with == != < <= > or >="),
        compute(
            "n: count where x == y",
            "3:89: a condition ends in a number, a 'text', true, false or null"),
        compute("n: count where x < null", "3:88: null can only be compared with == and !="),
        compute("n: count where x == 'a", "3:89: the text that begins here has no closing '"),
        compute(
            "n: count where x == 1 or y == 2",
            "3:91: conditions are joined by and only; write two computed fields, or a rule"),
        compute(
            "n: count where x == 1 y", "3:91: \"y\" is too much; only where CONDITION may follow"),
        compute(
            "n: count where x == 9007199254740993",
            "3:89: 9007199254740993 cannot be compared exactly; the limit is 2^53"),
        compute("n: count where x == 1z", "3:89: \"1z\" is no number"),
        compute("n: ratio_if(x)", "3:82: a condition compares with == != < <= > or >="),
        compute("n: ratio_if(x > 1", "3:86: \")\" is missing at the end of ratio_if"),
        compute(
            "n: {aggregate: count, where: x > 1 z}",
            "3:104: \"z\" is too much; conditions are joined by and"),
        compute("n: rules/a.lua where x", "3:91: a condition compares with == != < <= > or >="),
    ]

    static let times: [Case] = [
        Case("<S>time: {}\n<E>", ["2:7: time needs the key \"field\""]),
        Case(
            "<S>time: {field: at, format: epoch}\n<E>",
            [
                "2:27: \"format\" must be one of rfc3339, epoch_s, epoch_ms, epoch_us, epoch_ns or a "
                    + "pattern such as \"%Y-%m-%d %H:%M:%S\"; did you mean \"epoch_s\"?"
            ]),
        time("%Y-%m-%d %", "the pattern ends in the middle of a %; a percent sign is %%"),
        time("%y-%m-%d", "there is no %y; years have four digits, %Y"),
        time("%Y-%m-%d %X", "there is no %X; there are %Y %m %d %e %j %b %H %M %S %f %z %%"),
        time("%Y-%m-%d %Y", "the pattern has %Y twice"),
        time("%Y-%m-%d %e", "the pattern has the day twice, %d and %e"),
        time("%Y-%b-%m-%d", "the pattern has the month twice, %m and %b"),
        time(
            "%Y-%m %j",
            "%j is the day of the year; it stands without a month and a day of the month"),
        time("%H:%M", "the pattern must name a day: %Y with %m and %d, %b and %e, or %j"),
        time("%Y-%m-%d %M", "%M needs the hours, %H"),
        time("%Y-%m-%d %H.%S", "%S needs the minutes, %M"),
        time("%Y-%m-%d %H:%M.%f", "%f needs the seconds, %S"),
        Case(
            "<S>time: {field: at, timezone: UTC}\n<E>",
            [
                "2:19: RFC 3339 times name their own offset; a timezone goes with a format such as "
                    + "\"%Y-%m-%d %H:%M:%S\""
            ]),
        Case(
            "<S>time: {field: at, format: epoch_ms, timezone: UTC}\n<E>",
            ["2:37: epoch numbers are UTC; leave timezone out"]),
        Case(
            "<S>time: {field: at, format: \"%Y-%m-%d %z\", timezone: UTC}\n<E>",
            ["2:42: the format has its own offset, %z; leave it out"]),
        Case(
            "<S>time: {field: at, out_of_orderness: 5us}\n<E>",
            ["2:37: \"out_of_orderness\" must be whole milliseconds, such as 500ms, 2s or 10m"]),
        Case(
            "<S>time: {field: at, idle_after: 0s, max_future_skew: -1h}\n<E>",
            [
                "2:31: \"idle_after\" must be a duration above zero, such as 500ms, 2s or 10m",
                "2:52: \"max_future_skew\" must be a duration above zero, such as 500ms, 2s or 10m",
            ]),
    ]

    static func time(_ pattern: String, _ expected: String) -> Case {
        Case("<S>time: {field: at, format: \"\(pattern)\"}\n<E>", ["2:27: \(expected)"])
    }

    static func zone(_ name: String, _ expected: String) -> Case {
        window("{tumbling: 1 day, timezone: \(name)}", "3:70: \(expected)")
    }

    static let zones: [Case] = [
        zone(
            "America/New_Yrok",
            "unknown time zone \"America/New_Yrok\"; did you mean \"America/New_York\"?"),
        zone(
            "america/new_york",
            "unknown time zone \"america/new_york\"; did you mean \"America/New_York\"?"),
        zone("Berlin", "unknown time zone \"Berlin\"; did you mean \"Europe/Berlin\"?"),
        zone(
            "Mars/Olympus_Mons",
            "unknown time zone \"Mars/Olympus_Mons\"; zones have names such as Europe/Berlin"),
        zone(
            "../zoneinfo/UTC",
            "unknown time zone \"../zoneinfo/UTC\"; zones have names such as Europe/Berlin"),
        zone("Europe", "unknown time zone \"Europe\"; zones have names such as Europe/Berlin"),
        zone(
            "/etc/localtime",
            "unknown time zone \"/etc/localtime\"; zones have names such as Europe/Berlin"),
        zone("zone.tab", "unknown time zone \"zone.tab\"; zones have names such as Europe/Berlin"),
        zone("\"\"", "\"timezone\" must be a text that is not empty"),
        Case(
            "<S>time: {field: at, format: \"%Y-%m-%d\", timezone: Nowhere}\n<E>",
            ["2:49: unknown time zone \"Nowhere\"; zones have names such as Europe/Berlin"]),
    ]

    @Test func `time zones come from the folder that TZDIR names`() {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        folder.write("no zone", to: "Broken")
        let yaml = Self.zone("Broken", "").yaml
        func findings(_ path: String) -> [String] {
            BadConfigurationTests.findings(Array(yaml.utf8), environment: ["TZDIR": path])
        }
        #expect(
            findings(folder.path) == [
                "3:70: the time zone \"Broken\" cannot be read: it is not a TZif file"
            ])
        #expect(
            findings(folder("none")) == [
                "3:70: \(folder("none")) is missing: install the package tzdata, or set TZDIR to "
                    + "its folder"
            ])
    }

    @Test(arguments: zones + windows + emissions + revisions + computes + conditions + times)
    func `a wrong window gets this answer and no other`(_ wrong: Case) {
        #expect(BadConfigurationTests.findings(Array(wrong.yaml.utf8)) == wrong.expected)
    }
}
