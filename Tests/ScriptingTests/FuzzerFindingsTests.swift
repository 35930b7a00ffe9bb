import Records
import Scripting
import TestKit
import Testing

/// What the fuzzers have found, so that it does not come back.
@Suite struct FuzzerFindingsTests {
    /// Lua cannot run a finalizer deep in the C stack, which lost the memory of the copy.
    @Test func `copies that are collected deep in the stack give their memory back`() throws {
        var harness = RuleHarness(
            """
            function process(r)
              local function deep()
                for i = 1, 40 do local copy = r:copy() end
                ;("x"):gsub("x", deep)
              end
              r.deep = pcall(deep)
              r.copied = r:copy().a
            end
            """)
        harness.options.scriptMemory = 256 << 10
        let lines = [String](repeating: #"{"a":1}"#, count: 50).joined(separator: "\n")
        let outcome = try harness.run(lines)
        #expect(outcome.letters.first?["reason"] == nil)
        #expect(outcome.rows.count == 50)
    }

    /// The same when the memory is used up, which no script can catch.
    @Test func `copies that are collected without memory give theirs back`() throws {
        var harness = RuleHarness(
            """
            function process(r)
              local kept = {}
              if r.bomb then
                for i = 1, 1e9 do kept[i] = {r:copy(), ("x"):rep(i % 300)} end
              end
              r.copied = r:copy().a
            end
            """)
        harness.options.scriptMemory = 256 << 10
        let lines = [String](repeating: "{\"bomb\":true}\n{\"a\":1}", count: 200)
        let outcome = try harness.run(lines.joined(separator: "\n"))
        #expect(outcome.rows.count == 200)
        #expect(outcome.letters.count == 200)
    }

    /// Where to cut was sought backwards from the limit, beyond the line's own beginning.
    @Test func `a line that is too long and nothing but stray bytes is one dead letter`() throws {
        var harness = RuleHarness("function process(r) end")
        harness.options.recordLimit = 70_000
        let stray = [UInt8](repeating: 0x80, count: 80_000)
        let outcome = try harness.run(stray + Array("\n{}\n".utf8) + stray)
        #expect(outcome.rows == ["{}"])
        #expect(outcome.letters.count == 2)
        for letter in outcome.letters {
            #expect(letter["original_length"] == 80_000)
            #expect((letter["original_base64"]?.text.count ?? 0) > 80_000)
        }
    }

    @Test(arguments: ["math.maxinteger", "math.mininteger", "1e300", "-1/0", "0/0", "2^63"])
    func `a time beyond all years is an error of the record`(time: String) throws {
        let outcome = try RuleHarness("function process(r) r.at = time.format(\(time)) end").run(
            "{}")
        #expect(outcome.letters.first?["reason"]?.text.contains("outside the years") == true)
    }

    /// A letter asked for the text of a record that a batch before had held.
    @Test func `a letter that belongs to no record has none`() throws {
        var vm = try RuleVM(RuleVMOptions())
        let script = RuleSet.File(
            path: "rules/a.lua", bytes: Array("function process(r) error('no') end".utf8))
        let stage = vm.addStage(
            name: "a", schema: nil, script: script, native: nil, budgetNanoseconds: 1_000_000_000)
        vm.connect(.source, toStage: stage)
        vm.connect(.deadLetters, toSink: 0)
        vm.setSinkCount(1)
        try vm.load()
        let output = OutputBuffer()
        let batch = Batch()
        batch.bytes.append(contentsOf: "{\"v\":\"1\"}".utf8)
        batch.originals.append(contentsOf: "1,too many".utf8)
        batch.entries = [
            Batch.Entry(
                text: 0..<0, original: 0..<1, problem: 2..<10, position: 0, line: 1,
                originalLength: 1),
            Batch.Entry(
                text: 0..<9, original: 0..<1, problem: 0..<0, position: 2, line: 2,
                originalLength: 1),
        ]
        try vm.run(batch, into: [output])
        // This one comes from no record, whatever was looked at before.
        vm.reject(
            stage: stage, source: "x", failure: RuleFailure(message: "no result"),
            original: Array("{}".utf8),
            position: 1, into: [output], rows: [])
        let letters = try output.withUnsafeBytes { Array($0) }.split(separator: 0x0A).map {
            try Record(json: Array($0))
        }
        #expect(letters.map { $0["record"] != nil } == [false, true, false])
        #expect(letters[0]["kind"]?.text == "malformed")
    }
}
