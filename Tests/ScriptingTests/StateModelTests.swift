import Records
import Scripting
import TestKit
import Testing

/// Random transactions, times, failures and restarts, beside a model that is too simple to be wrong.
@Suite struct StateModelTests {
    private static let keys = (0..<12).map { "k\($0)" }

    /// Does what the record lists and then writes all that it can see; timers do what their name
    /// says.
    private static let rule = """
        local keys = {\(keys.map { "\"\($0)\"" }.joined(separator: ", "))}
        local function look()
          local seen = {}
          for _, key in ipairs(keys) do
            local value = state:get(key)
            if value then seen[#seen + 1] = key .. "=" .. value end
          end
          return table.concat(seen, " ")
        end
        local function options(ttl) if ttl > 0 then return {ttl = ttl / 1000} end end
        function process(r, meta)
          for _, step in ipairs(r.steps) do
            local what, key, number, ttl = step[1], step[2], step[3], step[4]
            if what == "set" then state:set(key, number, options(ttl))
            elseif what == "incr" then state:incr(key, number, options(ttl))
            elseif what == "delete" then state:delete(key)
            elseif what == "timer" then state:timer(key, number ~= null and number or nil)
            else error("undo") end
          end
          r.steps = nil
          r.user = nil
          r.partition = meta.partition
          r.seen = look()
        end
        function on_timer(name, at, meta)
          local kind = name:sub(1, 1)
          state:incr("k0", 1, {ttl = 3})
          if kind == "r" then state:timer(name, at + 2500) end
          if kind == "d" then state:delete("k1"); state:set("k2", at, {ttl = 1}) end
          emit({timer = name, at = at, partition = meta.partition, seen = look()})
          if kind == "f" then state:set("k3", 1); error("undo") end
        end
        """

    private struct Scenario {
        var random: SeededRandom
        var model = StateModel()
        var journal: [[UInt8]: StateChange] = [:]

        mutating func number(_ range: ClosedRange<Int>) -> Int {
            Int.random(in: range, using: &random)
        }

        private mutating func ttl() -> Int64 {
            number(0...2) == 0 ? 0 : Int64(number(1...60)) * 100
        }

        private mutating func step() -> StateModel.Step {
            let key = "k\(number(0...11))"
            switch number(0...20) {
            case 0...6: return .set(key, number(0...99), ttl: ttl())
            case 7...13: return .incr(key, number(-5...5), ttl: ttl())
            case 14, 15: return .delete(key)
            case 16...19:
                let kind = ["a", "r", "d", "f"].randomElement(using: &random) ?? "a"
                let later = Int64(number(1...9000))
                let at = number(0...4) == 0 ? nil : max(model.watermark, 0) + later
                return .timer(kind + String(number(0...3)), at: at)
            default: return .fail
            }
        }

        /// Writes a change down as a journal would.
        mutating func take(_ change: StateChange) {
            let place = Array("\(change.kind) \(change.partition) ".utf8) + change.key
            journal[place] = change.value == nil ? nil : change
        }

        mutating func shuffledJournal() -> [StateChange] {
            journal.values.sorted { ($0.partition, $0.expiry) < ($1.partition, $1.expiry) }
                .shuffled(using: &random)
        }

        mutating func steps() -> [StateModel.Step] { (0..<number(1...7)).map { _ in step() } }
    }

    private func json(_ steps: [StateModel.Step], user: Int) -> String {
        let list = steps.map { step in
            switch step {
            case .set(let key, let value, let ttl): #"["set","\#(key)",\#(value),\#(ttl)]"#
            case .incr(let key, let amount, let ttl): #"["incr","\#(key)",\#(amount),\#(ttl)]"#
            case .delete(let key): #"["delete","\#(key)"]"#
            case .timer(let name, let at):
                #"["timer","\#(name)",\#(at.map(String.init) ?? "null")]"#
            case .fail: #"["fail"]"#
            }
        }
        return #"{"user":"u\#(user)","steps":["# + list.joined(separator: ",") + "]}"
    }

    /// What on_timer of the rule does, as steps.
    private func steps(of timer: String, at: Int64) -> [StateModel.Step] {
        var steps = [StateModel.Step.incr("k0", 1, ttl: 3000)]
        switch timer.first {
        case "r": steps.append(.timer(timer, at: at + 2500))
        case "d": steps += [.delete("k1"), .set("k2", Int(at), ttl: 1000)]
        case "f": steps.append(.fail)
        default: break
        }
        return steps
    }

    @Test(arguments: 0..<40)
    func `state and timers do what a slow model does`(seed: UInt64) throws {
        var scenario = Scenario(random: SeededRandom(seed: seed))
        var harness = try StateHarness([Self.rule], trace: seed % 2 == 0)
        try advance(&scenario, &harness, to: 0)
        // Found out once, since the model knows nothing of hashes.
        let probe = try harness.run((0..<6).map { json([], user: $0) })
        let partitions = try probe.rows.map { row in
            guard case .integer(let number) = try Record(json: row)["partition"] else { return 0 }
            return Int(number)
        }
        for _ in 0..<150 {
            switch scenario.number(0...9) {
            case 0...5:
                let user = scenario.number(0...5)
                let steps = scenario.steps()
                let partition = partitions[user]
                let outcome = try harness.run(json(steps, user: user))
                let done = scenario.model.run(
                    steps, partition: partition, time: scenario.model.watermark)
                let seen = scenario.model.text(partition, keys: Self.keys)
                #expect(
                    outcome.rows
                        == (done ? [#"{"partition":\#(partition),"seen":"\#(seen)"}"#] : []),
                    "\(scenario.random) \(steps)")
                #expect(outcome.letters.count == (done ? 0 : 1))
            case 6...8:
                let later = Int64(scenario.number(0...2000))
                try advance(&scenario, &harness, to: scenario.model.watermark + later)
            default:
                for change in harness.vm.stateChanges() { scenario.take(change) }
                guard scenario.number(0...1) == 0 else { break }
                harness = try StateHarness(
                    [Self.rule], trace: false, restoring: scenario.shuffledJournal())
                _ = try harness.advance(to: scenario.model.watermark)
            }
            try checkAccounts(scenario, harness.vm.totals)
        }
        try advance(&scenario, &harness, to: scenario.model.watermark + 100_000)
        scenario.model.forgetExpired()
        #expect(harness.vm.totals.stateKeys == scenario.model.count, "\(scenario.random)")
        for change in harness.vm.stateChanges() { scenario.take(change) }
        let kept = scenario.journal.values.count { $0.kind != .clock }
        #expect(kept == scenario.model.count, "\(scenario.random)")
    }

    /// Raises event time in both, and compares what the timers have done on the way.
    private func advance(
        _ scenario: inout Scenario, _ harness: inout StateHarness, to watermark: Int64
    ) throws {
        let outcome = try harness.advance(to: watermark)
        var rows: [String] = []
        var failures: [String] = []
        while let timer = scenario.model.nextTimer(until: watermark) {
            let time = max(timer.at, scenario.model.watermark)
            let steps = steps(of: timer.name, at: timer.at)
            guard scenario.model.run(steps, partition: timer.partition, time: time) else {
                failures.append(timer.name)
                continue
            }
            let seen = scenario.model.text(timer.partition, keys: Self.keys)
            rows.append(
                #"{"at":\#(timer.at),"partition":\#(timer.partition),"seen":"\#(seen)","timer":"\#(timer.name)"}"#
            )
        }
        scenario.model.watermark = watermark
        #expect(outcome.rows == rows, "\(scenario.random)")
        let failed = try outcome.letters.map {
            try Record(json: $0["original"]?.text ?? "{}")["timer"]?.text ?? ""
        }
        #expect(failed == failures, "\(scenario.random)")
    }

    /// The store may still hold what has expired, but nothing else too much, and nothing too little.
    private func checkAccounts(_ scenario: Scenario, _ totals: RuleCounts) throws {
        let visible = scenario.model.visibleCount
        #expect(totals.stateKeys >= visible, "\(scenario.random)")
        #expect(totals.stateKeys <= scenario.model.count, "\(scenario.random)")
        #expect((totals.stateBytes == 0) == (totals.stateKeys == 0), "\(scenario.random)")
    }

    @Test func `a restored VM lists nothing, and then only what has changed`() throws {
        let rule = """
            function process(r) state:set(r.key, r.value, {ttl = "1h"}); state:timer("t", 1000) end
            function on_timer() state:delete("a") end
            """
        var first = try StateHarness(rule)
        _ = try first.advance(to: 0)
        _ = try first.run(#"{"key":"a","value":"x"}"#, #"{"key":"b","value":[1]}"#)
        let changes = first.vm.stateChanges()
        #expect(changes.count == 4)
        #expect(first.vm.stateChanges().isEmpty)
        var second = try StateHarness([rule], restoring: changes)
        #expect(second.vm.stateChanges().isEmpty)
        #expect(second.vm.totals.stateKeys == first.vm.totals.stateKeys)
        #expect(second.vm.totals.stateBytes == first.vm.totals.stateBytes)
        _ = try second.advance(to: 1000)
        let later = second.vm.stateChanges()
        #expect(
            Set(later.filter { $0.value == nil }.map(\.key)) == [Array("a".utf8), Array("t".utf8)])
        // What comes and goes between two calls is no change.
        _ = try first.run(#"{"key":"c","value":1}"#, #"{"key":"c"}"#)
        #expect(first.vm.stateChanges().filter { $0.kind == .value }.isEmpty)
    }

    @Test func `what cannot be put back is refused`() throws {
        func change(
            _ kind: StateChange.Kind, stage: String = "stage0", value: [UInt8]? = [],
            expiry: Int64 = 0
        ) -> StateChange {
            StateChange(
                kind: kind, stage: stage, partition: 0, key: [0x61], value: value, expiry: expiry)
        }
        let rule = "function process(r) r.a = state:get('a') end function on_timer() end"
        let refused = [
            change(.value, stage: "other", value: Array("s".utf8)), change(.value),
            change(.value, value: Array("i1".utf8)), change(.value, value: Array("j{".utf8)),
            change(.value, value: Array("?".utf8)), change(.timer, value: [1]),
            change(.timer, expiry: .max), change(.clock, expiry: .max),
        ]
        for entry in refused {
            #expect(throws: RuleError.self, "\(entry)") {
                _ = try StateHarness([rule], restoring: [entry])
            }
        }
        #expect(throws: RuleError.self) {
            _ = try StateHarness([rule], restoring: [change(.value, value: Array("sx".utf8))]) {
                $0.stateMemory = 100
            }
        }
        var harness = try StateHarness(
            [rule],
            restoring: [
                change(.value, value: Array(#"j{"x":[]}"#.utf8), expiry: .max), change(.timer),
                change(.timer, value: nil),
            ])
        #expect(try harness.run("{}").rows == [#"{"a":{"x":[]}}"#])
        #expect(harness.vm.totals.stateKeys == 1)
    }
}

extension StateModel {
    /// Values and timers, expired ones too.
    fileprivate var count: Int {
        partitions.values.reduce(0) { $0 + $1.values.count + $1.timers.count }
    }

    fileprivate mutating func forgetExpired() {
        let now = watermark
        for partition in partitions.keys {
            let kept = partitions[partition]?.values.filter { $0.value.expiry > now }
            partitions[partition]?.values = kept ?? [:]
        }
    }

    fileprivate var visibleCount: Int {
        partitions.values.reduce(0) { sum, partition in
            sum + partition.timers.count
                + partition.values.values.count { $0.expiry > max(partition.clock, watermark) }
        }
    }
}
