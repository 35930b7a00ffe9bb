import Foundation
import Records
import TestKit
import Testing

/// Hostile requests at the socket of a running pipeline. `CONTROL_FUZZ_SEED` and
/// `CONTROL_FUZZ_REQUESTS` choose others and more of them (`scripts/fuzz-control`).
@Suite(.timeLimit(.minutes(30))) struct ControlFuzzTests {
    private static let verbs = [
        "tap", "top", "profile", "explain", "reload", "rollback", "versions", "dlq.list",
        "dlq.replay", "store.backup", "store.catalogue", "queue.publish", "queue.receive",
        "queue.stats", "queue.ack", "queue.nack", "queue.reject", "queue.snooze", "queue.extend",
        "queue.peek", "queue.purge", "queue.pause", "queue.resume", "queue.redrive",
        "queue.cancel", "nothing",
    ]
    private static let names = [
        "queue", "stage", "id", "ids", "version", "payload", "stream", "batch", "topic",
        "priority", "key", "correlation", "delay", "ttl", "at", "headers", "delivery", "max",
        "lease", "wait", "receipt", "receipts", "error", "state", "base64", "publish", "reason",
        "to", "where", "map", "map_file", "rate", "dry_run", "force", "shadow", "max_difference",
        "interval", "count", "marks", "milliseconds", "stacks", "point", "rebuild", "haste",
    ]
    private static let texts = [
        "", "jobs", "jobs.dead", "shape", ".runs", "in", "dead", "out", "1s", "0s", "10m",
        "9223372036854775807d", "-1s", "r.i > 1", "while true do end", "error('x')", "\u{0}",
        "2026-11-23T15:00:00Z", "9999-12-31T23:59:59Z", "ready", "at_most_once", "é\u{301}",
    ]
    private static let numbers: [Int64] = [
        0, 1, -1, 2, 10, 1000, 1 << 31, 1 << 53, .max, .min, 1 << 62, 3_600_001,
    ]

    private static func value(_ random: inout SeededRandom, depth: Int = 0) -> Value {
        switch Int.random(in: 0..<(depth < 2 ? 9 : 6), using: &random) {
        case 0, 1: .integer(numbers.randomElement(using: &random) ?? 0)
        case 2, 3: .string(texts.randomElement(using: &random) ?? "")
        case 4: .boolean(Bool.random(using: &random))
        case 5:
            .number([0.5, -1, 1e300, 1e-300, 2].randomElement(using: &random) ?? 0)
        case 6: .array((0..<3).map { _ in value(&random, depth: depth + 1) })
        case 7: .object([Field("a", value(&random, depth: depth + 1))])
        default: .string(String(repeating: "x", count: Int.random(in: 0...100_000, using: &random)))
        }
    }

    /// The bytes of one request: mostly one that a verb can read, sometimes a broken one.
    private static func request(_ random: inout SeededRandom) -> [UInt8] {
        let verb = verbs.randomElement(using: &random) ?? ""
        var fields = [Field("queue", "jobs"), Field("stage", "shape")].filter {
            ($0.name == "queue") == verb.hasPrefix("queue.")
                && (verb.hasPrefix("queue.") || ["tap", "profile"].contains(verb))
        }
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let name = names.randomElement(using: &random) ?? ""
            fields.removeAll { $0.name == name }
            fields.append(Field(name, value(&random)))
        }
        let request: Record = ["verb": .string(verb), "arguments": .object(fields)]
        var bytes = request.json + [0x0A]
        if Int.random(in: 0..<8, using: &random) == 0 {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            bytes[place] = UInt8.random(in: 0...255, using: &random)
        }
        return bytes
    }

    /// Sends a request, and looks at the answer for a moment only.
    private static func ask(_ bytes: [UInt8], _ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            for (index, byte) in path.utf8.enumerated() { unsafe target[index] = byte }
        }
        let isConnected = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        try #require(isConnected)
        unsafe bytes.withUnsafeBytes {
            _ = unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&entry, 1, 30)
    }

    private static func threads(_ running: RunningPipeline) -> Int {
        let path = "/proc/\(running.process.processIdentifier)/task"
        return (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? -1
    }

    @Test func `no request ends the pipeline or leaves a thread behind`() throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["CONTROL_FUZZ_SEED"].flatMap { UInt64($0) } ?? 20_261_130
        let count = environment["CONTROL_FUZZ_REQUESTS"].flatMap { Int($0) } ?? 800
        let running = try RunningPipeline(
            "reload: {watch: false}\nqueues: {jobs: {max_attempts: 2}, other: {}}")
        try running.pass(20)
        #expect(try running.tool("queue", "stats").status == 0)
        let before = Self.threads(running)
        var random = SeededRandom(seed: seed)
        for number in 0..<count {
            let request = Self.request(&random)
            try Self.ask(request, running.folder("data/control.sock"))
            guard running.process.isRunning else {
                Issue.record(
                    "request \(number) of seed \(seed) ended it: \(running.errors.suffix(2000))")
                return
            }
        }
        // Whatever was begun for those who are gone comes to its end.
        #expect(
            running.wait { Self.threads(running) <= before },
            "\(Self.threads(running)) threads, \(before) before; seed \(seed)")
        #expect(try running.tool("queue", "stats").status == 0)
        try running.add(20, from: 20)
        #expect(running.wait { running.rows.count >= 40 })
        _ = try running.stop()
    }
}
