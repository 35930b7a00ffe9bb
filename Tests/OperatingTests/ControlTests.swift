import Journal
import Queueing
import Records
import TestKit
import Testing

@testable import Operating

@Suite struct ControlTests {
    private func served(_ body: (String) throws -> Void) throws {
        let folder = TemporaryFolder()
        var verbs = VerbTable()
        verbs.add("echo", ["lines": .texts, "fails": .flag]) { (call) throws(ControlFailure) in
            for text in call.texts("lines") { call.output.line(Array(text.utf8)) }
            if call.flag("fails") { throw ControlFailure(1, "no \"luck\"") }
        }
        let server = try ControlServer(directory: folder(""), verbs: verbs)
        defer { server.stop() }
        try body(folder(""))
    }

    private func ask(
        _ verb: String, _ fields: [Field], _ directory: String
    ) throws -> (isServed: Bool, lines: [String]) {
        var lines: [String] = []
        let isServed = try ControlClient.run(verb, Record(fields), directory: directory) { line in
            lines.append(String(decoding: line, as: UTF8.self))
            return true
        }
        return (isServed, lines)
    }

    @Test func `lines come back, and so does a failure behind them`() throws {
        try served { directory in
            let lines = Field("lines", .array([.string("one"), .string("!two")]))
            let answer = try ask("echo", [lines], directory)
            #expect(answer.isServed && answer.lines == ["one", "!two"])
            #expect(throws: ControlFailure(1, "no \"luck\"")) {
                try ask("echo", [lines, Field("fails", .boolean(true))], directory)
            }
            #expect { try ask("nothing", [], directory) } throws: { "\($0)".contains("nothing") }
        }
    }

    @Test func `a caller that goes away ends nothing but its call`() throws {
        try served { directory in
            for _ in 0..<10 { #expect(ControlClient.isServed(directory)) }
            let lines = Field("lines", .array([.string("one")]))
            let answer = try ask("echo", [lines], directory)
            #expect(answer.lines == ["one"])
        }
    }

    @Test func `the verbs of queues are served over the socket`() throws {
        let folder = TemporaryFolder()
        var random = SeededRandom(seed: 4)
        let store = try Store(
            opening: folder("data"), on: SystemDisk(), queues: [QueueSettings("jobs")],
            random: &random)
        var verbs = VerbTable()
        QueueVerbs(store).add(to: &verbs)
        StoreVerbs(store, on: SystemDisk()).add(to: &verbs)
        let server = try ControlServer(directory: folder("data"), verbs: verbs)
        defer { server.stop() }
        let queue = Field("queue", .string("jobs"))
        let sent = try ask(
            "queue.publish",
            [queue, Field("payload", .string("{\"a\":1}")), Field("id", .string("x"))],
            folder("data"))
        #expect(sent.lines == ["{\"id\":\"x\",\"duplicate\":false,\"durability\":\"disk\"}"])
        let taken = try ask("queue.receive", [queue], folder("data"))
        let message = try Record(json: try #require(taken.lines.first))
        #expect(message["id"] == .string("x"))
        let copy = try ask(
            "store.backup", [Field("target", .string(folder("copy")))], folder("data"))
        #expect(copy.lines.count == 1)
        let receipt = Field("receipts", .array([message["receipt"] ?? .null]))
        #expect(
            try ask("queue.ack", [queue, receipt], folder("data")).lines == [
                "{\"acked\":1,\"durability\":\"disk\"}"
            ])
        #expect {
            try ask("queue.ack", [queue, receipt], folder("data"))
        } throws: { ($0 as? ControlFailure)?.message.contains("stale") == true }
        try store.close()
    }

    @Test func `a socket that was left behind is nobody's, and is replaced`() throws {
        let folder = TemporaryFolder()
        try served { _ in }
        #expect(try !ask("echo", [], folder("")).isServed)
        #expect(!ControlClient.isServed(folder("")))
        let first = try ControlServer(directory: folder(""), verbs: VerbTable())
        let second = try ControlServer(directory: folder(""), verbs: VerbTable())
        #expect(ControlClient.isServed(folder("")))
        first.stop()
        second.stop()
        #expect(!ControlClient.isServed(folder("")))
    }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-23T15:00:00.250Z", 1_795_446_000_250_000),
            ("2026-11-23T16:00:00+01:00", 1_795_446_000_000_000),
            ("1969-12-31T23:59:59.999Z", -1000), ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ] as [(String, Int64)])
    func `times are read as RFC 3339 says`(text: String, microseconds: Int64) {
        #expect(TimeText.microseconds(text) == microseconds)
        let written = TimeText.text(milliseconds: microseconds / 1000)
        #expect(TimeText.microseconds(written) == microseconds)
    }

    @Test(arguments: ["2026-02-30T00:00:00Z", "2026-11-23", "2026-11-23T25:00:00Z", "x"])
    func `what is no time is none`(text: String) { #expect(TimeText.microseconds(text) == nil) }

    @Test func `bytes that are no JSON are written in base64`() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            let encoded = String(decoding: MessageWriting.base64(Array(text.utf8)), as: UTF8.self)
            #expect(encoded == expected)
        }
        #expect(MessageWriting.isJSONLine(Array("{\"a\": 1e400}".utf8)))
        #expect(!MessageWriting.isJSONLine(Array("{\"a\":\n1}".utf8)))
    }
}
