import Records
import Scripting
import TestKit
import Testing

@Suite struct IngressTests {
    static let sound = [
        "{}", " {} ", #"{"a":1e400}"#, #"{"a":-0}"#,
        #"{"a":1234567890123456789012345678901234567890}"#,
        #"{"a":"\u0000\ud83d\ude42"}"#, #"{"a":[[],{},[{}]]}"#, "{\"a\":1}\r", #"{"":""}"#,
        #"{"a":1,"a":2}"#, #"{"a":[1 , 2 ,3 ]}"#, #"{"a":true,"b":false,"c":null}"#,
        #"{"a":0.0e-0}"#,
    ]
    static let malformed = [
        "[1]", "1", "null", "\"x\"", "{", "}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{,}"#,
        #"{"a":01}"#,
        #"{"a":1.}"#, #"{"a":.5}"#, #"{"a":+1}"#, #"{"a":1e}"#, #"{"a":nul}"#, #"{"a":truex}"#,
        #"{a:1}"#,
        #"{'a':1}"#, #"{"a":"\x"}"#, #"{"a":"\u12"}"#, "{\"a\":\"\u{01}\"}", #"{"a":1}}"#,
        #"{"a":1} x"#,
        #"{"a":[1,]}"#, #"{"a":[1 2]}"#, #"{"a":{"b":1}"#, #"{"a":"b"#, #"{"a":NaN}"#,
        #"{"a":1,,"b":2}"#,
        #"{"a" "b"}"#, #"{"a"::1}"#, #"{"a":"b""c"}"#, #"{"a":--1}"#, #"{"a":[}"#, #"{"a":]}"#,
        #"{1:2}"#,
    ]

    @Test(arguments: sound)
    func `a sound line passes unchanged`(line: String) throws {
        #expect(try RuleHarness().run(line).rows == [line])
    }

    @Test(arguments: malformed)
    func `a malformed line is one dead letter with its bytes`(line: String) throws {
        let outcome = try RuleHarness().run(line, "{}")
        #expect(outcome.rows == ["{}"])
        #expect(outcome.letters.first?["kind"] == "malformed")
        #expect(outcome.letters.first?["stage"] == "source")
        #expect(outcome.letters.first?["original"] == .string(line))
    }

    @Test func `bytes that are not UTF-8 are kept as base64`() throws {
        let outcome = try RuleHarness().run([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D])
        #expect(outcome.letters.first?["original_base64"] == "eyL/IjoxfQ==")
    }

    @Test(arguments: [
        ("{\"a\":\"é\u{01}\"}", "a control character inside a string at byte 8"),
        ("{\"a\\\"\":\"\t\"}", "a control character inside a string at byte 8"),
        ("{\"é\":\"b", "a string that never ends at byte 8"),
    ])
    func `the place of a broken string is told`(line: String, problem: String) throws {
        let letter = try RuleHarness().run(line).letters.first
        #expect(letter?["reason"] == .string("malformed JSON: " + problem))
    }

    @Test func `the place of bytes that are not UTF-8 is told`() throws {
        let letter = try RuleHarness().run(Array("{\"é\":\"".utf8) + [0xE2, 0x82, 0x22, 0x7D])
            .letters.first
        #expect(letter?["reason"] == "malformed JSON: not valid UTF-8 at byte 7")
    }

    @Test func `nesting beyond the limit and records beyond the limit are dead letters`() throws {
        let deep =
            "{\"a\":" + String(repeating: "[", count: 10_000)
            + String(repeating: "]", count: 10_000) + "}"
        var harness = RuleHarness()
        harness.options.recordLimit = 100_000
        let long = "{\"a\":\"" + String(repeating: "x", count: 200_000) + "\"}"
        let outcome = try harness.run(deep, long, "", "  ", "{}")
        #expect(outcome.rows == ["{}"])
        #expect(outcome.counts.read == 3)
        #expect(outcome.letters.map { $0["reason"]?.text.contains("deeply") } == [true, false])
        #expect(outcome.letters.last?["original_length"] == .integer(Int64(long.utf8.count)))
    }

    @Test func `a batch of entries is read anew where a batch of lines lay`() throws {
        var vm = try RuleVM(RuleVMOptions())
        vm.connect(.source, toSink: 0)
        vm.connect(.deadLetters, toSink: 1)
        vm.setSinkCount(2)
        try vm.load()
        let batch = Batch()
        let outputs = [OutputBuffer(), OutputBuffer()]
        batch.bytes.append(contentsOf: "{\"line\":1234567890}\n".utf8)
        try vm.run(batch, into: outputs)
        batch.removeAll()
        let text = "{\"n\":2}"
        batch.bytes.append(contentsOf: text.utf8)
        batch.originals.append(contentsOf: "2".utf8)
        batch.entries = [
            Batch.Entry(
                text: 0..<text.utf8.count, original: 0..<1, problem: 0..<0, position: 0, line: 2,
                originalLength: 1)
        ]
        try vm.run(batch, into: outputs)
        let rows = outputs[0].withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        #expect(rows == "{\"line\":1234567890}\n{\"n\":2}\n")
        #expect(vm.counts.deadLetters == 0)
    }

    @Test func `the ingress agrees with the slow reader on mutated texts`() throws {
        var generator = JSONGenerator(SeededRandom(seed: 4))
        for _ in 0..<2000 {
            var bytes = Array(generator.object(depth: 3).utf8)
            for _ in 0..<Int.random(in: 0..<3, using: &generator.random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &generator.random)
                let replacements = Array("{}[],:\"\\0e.-t x".utf8)
                bytes[index] = replacements.randomElement(using: &generator.random) ?? 0x20
            }
            let accepted = try RuleHarness().run(bytes).letters.isEmpty
            let isBlank = bytes.allSatisfy { $0 == 0x20 }
            let reference = (try? Record(json: bytes)) != nil || isBlank
            #expect(
                accepted == reference,
                "\(String(decoding: bytes, as: UTF8.self)) \(generator.random)")
        }
    }
}
