import Glibc
import Journal
import Queueing
import Records
import Synchronization
import TestKit
import Testing
import Threads

@testable import Operating

/// Who else is at the socket, and what they may not do to the others.
@Suite(.timeLimit(.minutes(30))) struct ControlLimitTests {
    private struct NoSocket: Error {}

    /// A connection as anybody could make it.
    private final class Connection {
        let descriptor: Int32

        init(_ directory: String) throws {
            guard let socket = UnixSocket(ControlServer.socketName, in: directory) else {
                throw NoSocket()
            }
            descriptor = socket.descriptor
            let connection = socket.connect()
            try #require(connection == .made)
        }

        convenience init(
            _ directory: String, _ verb: String, _ arguments: [Field] = []
        ) throws {
            try self.init(directory)
            let request: Record = [
                "verb": .string(verb), "arguments": .object(arguments),
            ]
            write(request.json + [0x0A])
        }

        deinit { close() }

        private var isOpen = true

        func close() {
            if isOpen { Glibc.close(descriptor) }
            isOpen = false
        }

        func write(_ bytes: [UInt8]) {
            unsafe bytes.withUnsafeBytes {
                _ = unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
        }

        /// Everything until the other side closes.
        func text() -> String {
            let input = ControlInput(descriptor: descriptor)
            var bytes: [UInt8] = []
            while let more = input.read() { bytes += more }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Serves `echo`, and `wait`, which tells that it has begun and waits until it is let go.
    private final class Served {
        let folder = TemporaryFolder()
        let begun = Channel<Void>(capacity: 1000)
        let gate = Channel<Void>(capacity: 1)
        let server: ControlServer
        var directory: String { folder("") }

        init(_ limits: ControlLimits = ControlLimits()) throws {
            var verbs = VerbTable()
            let (begun, gate) = (begun, gate)
            verbs.add("echo", ["text": .name]) { (call) throws(ControlFailure) in
                call.output.line(Array((call.text("text") ?? "").utf8))
            }
            verbs.add("wait", isLong: { _ in true }) { (_) throws(ControlFailure) in
                begun.send(())
                _ = gate.receive()
            }
            verbs.add("flood", isLong: { _ in true }) { (call) throws(ControlFailure) in
                let line = [UInt8](repeating: 0x78, count: 1 << 16)
                while !call.output.isBroken { call.output.line(line) }
                begun.send(())
            }
            server = try ControlServer(directory: folder(""), verbs: verbs, limits: limits)
        }

        func echo() throws -> String {
            var lines: [String] = []
            let isServed = try ControlClient.run(
                "echo", ["text": "hello"], directory: directory
            ) { line in
                lines.append(String(decoding: line, as: UTF8.self))
                return true
            }
            return isServed ? lines.joined() : "nobody"
        }

        deinit {
            gate.close()
            server.stop()
        }
    }

    @Test func `a connection that asks nothing is told and closed, and one that waits is not`()
        throws
    {
        var limits = ControlLimits()
        limits.requestMilliseconds = 200
        let served = try Served(limits)
        let waiting = try Connection(served.directory, "wait")
        let idle = try Connection(served.directory)
        // Half a request is none.
        let half = try Connection(served.directory)
        half.write(Array("{\"verb\":".utf8))
        #expect(idle.text().contains("no request came within 0.2 s"))
        #expect(half.text().contains("no request came within 0.2 s"))
        served.gate.close()
        #expect(waiting.text() == "!{\"exit\":0,\"error\":\"\"}\n")
    }

    @Test func `256 may wait at once, and short verbs find a place beside them`() throws {
        let served = try Served()
        let waiting = try (0..<256).map { _ in try Connection(served.directory, "wait") }
        for _ in waiting { #expect(served.begun.receive(milliseconds: 20_000) != nil) }
        let late = try Connection(served.directory, "wait").text()
        #expect(late.contains("is busy: it serves 256 callers already"), "\(late)")
        for _ in 0..<40 { #expect(try served.echo() == "hello") }
        served.gate.close()
        for caller in waiting { #expect(caller.text().hasSuffix("\"exit\":0,\"error\":\"\"}\n")) }
        #expect(try served.echo() == "hello")
    }

    @Test func `however many connect and ask nothing, whoever asks is answered`() throws {
        var limits = ControlLimits()
        limits.silent = 16
        let served = try Served(limits)
        var silent: [Connection] = []
        for _ in 0..<100 {
            silent.append(try Connection(served.directory))
            if silent.count.isMultiple(of: 10) { #expect(try served.echo() == "hello") }
        }
        #expect(silent[0].text().contains("is busy: too many connections without a request"))
    }

    @Test func `a caller that never reads is given up`() throws {
        var limits = ControlLimits()
        limits.writeMilliseconds = 200
        let served = try Served(limits)
        let deaf = try Connection(served.directory, "flood")
        #expect(served.begun.receive(milliseconds: 20_000) != nil)
        #expect(try served.echo() == "hello")
        deaf.close()
    }

    @Test(arguments: ["", "\n", "{}\n", "[1]\n", "{\"verb\":1,\"arguments\":{}}\n", "\u{0}\n"])
    func `what is no request is said to be none, or just closed`(text: String) throws {
        let served = try Served()
        let caller = try Connection(served.directory)
        caller.write(Array(text.utf8))
        shutdown(caller.descriptor, Int32(SHUT_WR))
        let answer = caller.text()
        #expect(text.isEmpty ? answer.isEmpty : answer.contains("not one line of JSON"))
        #expect(try served.echo() == "hello")
    }

    @Test func `a request without end is refused at 4 MiB`() throws {
        let served = try Served()
        let caller = try Connection(served.directory)
        let part = [UInt8](repeating: 0x78, count: 1 << 20)
        for _ in 0..<5 { caller.write(part) }
        #expect(caller.text().contains("longer than 4 MiB"))
        #expect(try served.echo() == "hello")
    }

    @Test func `one that goes away while it is asked, and one that is not there, are told apart`()
        throws
    {
        let folder = TemporaryFolder()
        #expect(
            try !ControlClient.run("echo", [:], directory: folder("")) { _ in true })
        guard let socket = UnixSocket(ControlServer.socketName, in: folder("")) else {
            throw NoSocket()
        }
        let isListening = socket.listens()
        #expect(isListening)
        let descriptor = socket.descriptor
        startThread {
            let caller = accept(descriptor, nil, nil)
            _ = ControlInput(descriptor: caller).read()
            close(caller)
        }
        #expect {
            _ = try ControlClient.run("echo", [:], directory: folder("")) { _ in true }
        } throws: { ($0 as? ControlFailure)?.message.contains("went away") == true }
        close(descriptor)
        #expect(
            try !ControlClient.run("echo", [:], directory: folder("")) { _ in true })
    }

    // MARK: Messages

    private func queueStore(_ folder: TemporaryFolder) throws -> Store<SystemDisk> {
        var random = SeededRandom(seed: 4)
        return try Store(
            opening: folder("data"), on: SystemDisk(), queues: [QueueSettings("jobs")],
            random: &random)
    }

    private func wait(_ condition: () throws -> Bool) rethrows -> Bool {
        let until = monotonicNanoseconds() + 20_000_000_000
        while monotonicNanoseconds() < until {
            if try condition() { return true }
            pause(milliseconds: 1)
        }
        return false
    }

    @Test func `a message goes to nobody who has gone while waiting for it`() throws {
        let folder = TemporaryFolder()
        let store = try queueStore(folder)
        let queues = QueueVerbs(store)
        var verbs = VerbTable()
        queues.add(to: &verbs)
        let server = try ControlServer(directory: folder("data"), verbs: verbs)
        defer { server.stop() }
        let arguments = [Field("queue", "jobs"), Field("wait", "10m")]
        let gone = try (0..<20).map { _ in
            try Connection(folder("data"), "queue.receive", arguments)
        }
        #expect(wait { queues.waiting.number == 20 })
        for caller in gone { caller.close() }
        let queue = try store.queue("jobs")
        _ = try store.publish(NewMessage(Array("{}".utf8)), to: queue)
        #expect(wait { queues.waiting.number == 0 })
        let message = try #require(try store.receive(from: queue).first)
        #expect(message.attempt == 1)
        try store.close()
    }

    @Test func `messages that nobody reads go back as if they had not been delivered`() throws {
        let folder = TemporaryFolder()
        let store = try queueStore(folder)
        var verbs = VerbTable()
        QueueVerbs(store).add(to: &verbs)
        let queue = try store.queue("jobs")
        _ = try store.publish(NewMessage(Array("{}".utf8)), to: queue)
        var ends: [Int32] = [0, 0]
        try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let output = ControlOutput(descriptor: ends[0], isFramed: true)
        // It goes between the look whether it is there and the first byte of the answer.
        let call = ControlCall(
            verb: "queue.receive", arguments: ["queue": "jobs"],
            input: ControlInput(descriptor: ends[0]), output: output)
        output.line(Array("before".utf8))
        #expect(output.presence.isThere)
        shutdown(ends[1], Int32(SHUT_RD))
        try verbs.run(call)
        let status = try #require(try store.status(of: queue))
        #expect(status.counts.ready == 1 && status.counts.leased == 0)
        #expect(try store.receive(from: queue).first?.attempt == 1)
        for end in ends { close(end) }
        try store.close()
    }

    @Test(
        arguments: [
            ("queue.receive", ["queue": "jobs", "max": 0], "from 1 to 1000000, not 0"),
            ("queue.receive", ["queue": "jobs", "max": .integer(.max)], "from 1 to 1000000"),
            ("queue.receive", ["queue": "jobs", "max": "2"], "a whole number"),
            ("queue.receive", ["queue": "jobs", "wait": "9223372036s"], "at most ten years"),
            ("queue.receive", ["queue": "jobs", "lease": "0s"], "above zero"),
            ("queue.receive", ["queue": 5], "must be a text"),
            ("queue.receive", ["queue": "jobs", "haste": 1], "takes no argument \"haste\""),
            ("queue.receive", [:], "needs the argument \"queue\""),
            ("queue.publish", ["queue": "jobs", "priority": 10], "from 0 to 9"),
            ("queue.publish", ["queue": "jobs", "stream": true, "batch": 0], "from 1 to"),
            ("queue.publish", ["queue": "jobs", "at": "now"], "RFC 3339"),
            ("queue.publish", ["queue": "jobs", "headers": ["a": 1]], "an object of texts"),
            ("queue.publish", ["queue": "jobs", "delivery": "never"], "one of at_least_once"),
            ("queue.peek", ["queue": "jobs", "max": -1], "not -1"),
            ("queue.redrive", ["queue": "jobs", "rate": .integer(1 << 53)], "from 1 to"),
            ("queue.ack", ["queue": "jobs", "receipts": [1]], "a list of texts"),
            ("queue.cancel", ["queue": "jobs", "id": "a\u{0}b"], "without NUL"),
        ] as [(String, Record, String)])
    func `every argument is looked at before it is used`(
        verb: String, arguments: Record, words: String
    ) throws {
        let folder = TemporaryFolder()
        let store = try queueStore(folder)
        var verbs = VerbTable()
        QueueVerbs(store).add(to: &verbs)
        let output = ControlOutput { _ in }
        #expect {
            try verbs.run(ControlCall(verb: verb, arguments: arguments, output: output))
        } throws: {
            guard let failure = $0 as? ControlFailure else { return false }
            return failure.exitCode == 2 && failure.message.contains(words)
        }
        try store.close()
    }
}
