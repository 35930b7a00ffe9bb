import Foundation
import TestKit

/// A pipeline and its input, made up from a seed: rules with state and every verdict, branches,
/// windows of all kinds, rules and windows behind windows, and dead letters that are counted.
struct GeneratedPipeline {
    /// What a generated pipeline has, where the seed does not decide.
    struct Features {
        /// Rules keep state; without it any worker may take any batch.
        var state = true
        /// Rules with state set timers.
        var timers = true
        var sources = 1
        /// The window of the first aggregate.
        var window: String?
        /// A compute in Lua beside the others.
        var inLua = false
        /// Windows behind rules behind windows, and over dead letters.
        var outer = true
        var records = 300
    }

    static let windows = [
        "window: {tumbling: 20s}", "window: {tumbling: 20s}, allowed_lateness: 10s",
        "window: {tumbling: 1 day, timezone: Europe/Berlin}",
        "window: {hopping: {size: 30s, every: 10s}}",
        "window: {hopping: {size: 30s, every: 10s}}, emit: {every: 5s}",
        "window: {session: {gap: 8s}}", "window: {session: {gap: 8s}}, emit: update",
        "window: {count: {size: 5}}", "window: {count: {size: 5}}, ttl: 60s",
        "window: {rolling: {rows: 4}}", "window: {rolling: {range: 15s}}",
        "window: global, ttl: 1h, emit: update",
    ]

    let seed: UInt64
    /// The lines of each source; the last one of each passes every rule.
    private(set) var inputs: [[String]] = []
    private(set) var rules: [String: String] = [:]
    private let features: Features
    private var random: SeededRandom
    private var stages: [String] = []
    private var sinks = ["{from: shape, file: {path: out/shape.jsonl}}"]
    private var head = ""

    init(seed: UInt64, _ features: Features = Features()) {
        self.seed = seed
        self.features = features
        random = SeededRandom(seed: seed)
        head = "time: {field: at, out_of_orderness: \(pick("0s", "3s", "10s"))}\nkey: user\n"
        addShape()
        addWindow(0)
        if features.window == nil, chance(2) { addWindow(1) }
        if features.outer, chance(2) {
            stages.append(
                "{name: letters, from: dead_letters, aggregate: {key: kind, "
                    + "window: {tumbling: 20s}, compute: {n: count}}}")
            sinks.append("{from: letters, file: {path: out/letters.jsonl}}")
        }
        sinks.append("{from: dead_letters, file: {path: out/dead.jsonl}}")
        addInput()
    }

    /// Writes the folder; its input as well, unless it is followed.
    func write(to folder: TemporaryFolder, follow: Bool = false, commit: String = "{}") {
        let options = follow ? ", follow: true" : ""
        let sources =
            inputs.count == 1
            ? "source: {file: {path: in.jsonl\(options)}}"
            : "sources: {one: {file: {path: in.jsonl}}, two: {file: {path: in1.jsonl}}}"
        let list = { (items: [String]) in items.map { "\n  - \($0)" }.joined() }
        folder.write(
            """
            \(sources)
            \(head)commit: \(commit)
            reload: {watch: false}
            stages:\(list(stages))
            sinks:\(list(sinks))

            """, to: "pipeline.yaml")
        for (name, rule) in rules { folder.write(rule, to: "rules/\(name).lua") }
        guard !follow else { return }
        for (index, lines) in inputs.enumerated() {
            let name = index == 0 ? "in.jsonl" : "in\(index).jsonl"
            folder.write(lines.map { $0 + "\n" }.joined(), to: name)
        }
    }

    private var hasTimers: Bool { features.state && features.timers }

    // MARK: Rules

    private mutating func addShape() {
        let verdicts = [
            "if r.i % 11 == 3 then return drop('eleven') end",
            "if r.i % 13 == 5 then return reject('thirteen', 'i') end",
            "if r.i % 17 == 4 then error('seventeen') end",
            "if r.i % 7 == 2 then return route('side') end",
            "if r.i % 6 == 1 then emit({i = r.i, user = r.user, at = r.at, v = 1}, 'side') end",
            "if r.i % 8 == 1 then local c = r:copy() c.copy = true emit(c) end",
            "if r.i % 9 == 1 then return {r, {i = r.i, user = r.user, at = r.at, v = 0}} end",
        ].filter { _ in !chance(3) }
        let ttl = pick("", ", 1, {ttl = '10s'}")
        let counts = "r.seen, r.all = state:incr('c.' .. r.user\(ttl)), state:incr('all')"
        let timer = "state:timer('t.' .. r.user, meta.time + \(pick("1000", "5000")))"
        var rule = """
            function process(r, meta)
              if r.mark then return end
              \(features.state ? counts : "")
              metric('rows', r.g)
              \(verdicts.joined(separator: "\n  "))
              r.id = meta.id
              r.partition = meta.partition
              \(hasTimers ? timer : "")
            end

            """
        if hasTimers {
            rule += """
                function on_timer(name, at, meta)
                  if at % 13 == 5 then error('a timer fails') end
                  emit({timer = name, user = name, at = time.format(at), i = 0, v = 1,
                        fires = state:incr('fires')})
                end

                """
        }
        rules["shape"] = rule
        stages.append("{name: shape, transform: rules/shape.lua}")
        if rule.contains("'side'") {
            sinks.append("{from: shape.side, file: {path: out/side.jsonl}}")
        }
    }

    private mutating func addWindow(_ index: Int) {
        let window = features.window ?? Self.windows[Int.random(in: 0..<12, using: &random)]
        let name = "window\(index)"
        let key = pick("key: user, ", "key: g, ", "key: [user, g], ", "")
        var compute = "n: count, total: sum(v), first: first(i), last: last(i)"
        compute += pick("", ", q: \"quantile(v, 0.5)\"") + pick("", ", c: \"collect(i, 5)\"")
        compute += pick("", ", d: count_distinct(v)") + pick("", ", even: \"count where v > 50\"")
        if features.inLua {
            compute += ", lua: rules/spread.lua"
            rules["spread"] = Self.spread(pick("", Self.retract))
        }
        let from = rules["shape"]?.contains("'side'") == true && index == 1 ? "shape.side" : "shape"
        stages.append(
            "{name: \(name), from: \(from), aggregate: {\(key)\(window), compute: {\(compute)}}}")
        let isRevised = window.contains("emit") || window.contains("lateness")
        let upsert = isRevised ? ", upsert: true" : ""
        sinks.append("{from: \(name), file: {path: out/\(name).jsonl\(upsert)}}")
        sinks.append("{from: \(name).late, file: {path: out/\(name)_late.jsonl}}")
        if !isRevised { addBehind(name) }
    }

    /// A rule with state behind a window, and a window behind that rule.
    private mutating func addBehind(_ window: String) {
        let name = "behind_\(window)"
        let keepsState = features.state && features.outer
        let counts = "r.nth, r.of_user = state:incr('n'), state:incr('u.' .. tostring(r.user))"
        let timer = "state:timer('b.' .. tostring(r.user), meta.time + 2000)"
        rules[name] = """
            function process(r, meta)
              \(keepsState ? counts : "")
              \(hasTimers && keepsState ? timer : "")
              if r.n % 4 == 3 then error('three') end
              r.id, r.time = meta.id, meta.time
            end
            function on_timer(name, at) emit({timer = name, at = time.format(at), n = 1}) end

            """
        stages.append("{name: \(name), from: \(window), transform: rules/\(name).lua}")
        guard features.outer else {
            stages.append("{name: too_late, from: \(window).late, transform: rules/late.lua}")
            rules["late"] = """
                function process(r, meta)
                  if r.i % 5 == 1 then error('five') end
                  r.id, r.time = meta.id, meta.time
                end
                """
            sinks.append("{from: \(name), file: {path: out/\(name).jsonl}}")
            sinks.append("{from: too_late, file: {path: out/too_late.jsonl}}")
            return
        }
        stages.append(
            "{name: outer_\(window), from: \(name), aggregate: {window: {tumbling: 60s}, "
                + "compute: {n: count, rows: sum(n)}}}")
        for stage in [name, "outer_\(window)", "outer_\(window).late"] {
            let file = stage.replacingOccurrences(of: ".", with: "_")
            sinks.append("{from: \(stage), file: {path: out/\(file).jsonl}}")
        }
    }

    private static let retract = """
        retract = function(a, r)
            a.n, a.total = a.n - 1, a.total - (tonumber(r.v) or 0)
            return a
          end,
        """

    private static func spread(_ more: String) -> String {
        """
        return {
          init = function() return {n = 0, total = 0} end,
          add = function(a, r)
            if r.v == 13 then error("unlucky") end
            a.n, a.total = a.n + 1, a.total + (tonumber(r.v) or 0)
            return a
          end,
          merge = function(a, b) a.n, a.total = a.n + b.n, a.total + b.total return a end,
          \(more)
          result = function(a) return {a.n, a.total} end,
        }
        """
    }

    // MARK: Input

    private mutating func addInput() {
        let users = Int(pick("3", "12", "60")) ?? 3
        let step = Int(pick("50", "100", "1000")) ?? 100
        let isQuiet = chance(2)
        inputs = Array(repeating: [], count: features.sources)
        for index in 0..<features.records {
            // Some keys fall silent, so that their timers wait for records of others.
            let isLate = isQuiet && index > features.records / 3
            let user = Int.random(in: 0..<(isLate ? max(1, users / 3) : users), using: &random)
            let delay = Int.random(in: 0..<(chance(20) ? 30_000 : 3000), using: &random)
            let time = EventTime.text(max(index * step - delay, 0))
            let value = chance(10) ? "null" : "\(Int.random(in: 0..<100, using: &random))"
            let group = Int.random(in: 0..<3, using: &random)
            inputs[index % features.sources].append(
                chance(100)
                    ? "{\"i\":\(index),\"user\":\"u\(user)\"" + pick("", "}")
                    : "{\"i\":\(index),\"user\":\"u\(user)\",\"at\":\"\(time)\",\"v\":\(value),"
                        + "\"g\":\(group)}")
        }
        for source in inputs.indices { inputs[source].append(mark(at: features.records * step)) }
    }

    /// A record that passes every rule, so that all before it have been read once it is a row.
    func mark(at time: Int) -> String {
        #"{"i":0,"user":"mark","mark":true,"v":1,"g":0,"at":"\#(EventTime.text(time))"}"#
    }

    // MARK: Choice

    private mutating func pick(_ choices: String...) -> String {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    /// True once in `count` times.
    private mutating func chance(_ count: Int) -> Bool {
        Int.random(in: 0..<count, using: &random) == 0
    }
}

/// Times of generated records.
enum EventTime {
    /// So many milliseconds after the start of 2025, within its first nine days, as RFC 3339.
    static func text(_ milliseconds: Int) -> String {
        let (day, rest) = milliseconds.quotientAndRemainder(dividingBy: 86_400_000)
        precondition((0..<9).contains(day), "beyond the first nine days")
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let clock = [rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60].map(two)
        let fraction = "\(1000 + rest % 1000)".dropFirst()
        return "2025-01-\(two(day + 1))T\(clock.joined(separator: ":")).\(fraction)Z"
    }
}
