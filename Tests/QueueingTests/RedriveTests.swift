import Journal
import TestKit
import Testing

@testable import Queueing

/// Dead messages that go back, chosen and changed; and policies that somebody else works out.
@Suite struct RedriveTests {
    private func bench(
        durability: QueueDurability = .disk, _ payloads: String...
    ) throws -> Bench {
        let bench = try Bench {
            $0.maxAttempts = 1; $0.durability = durability
        }
        for payload in payloads {
            try bench.publish(payload) {
                $0.orderingKey = "k"; $0.headers = [Header("a", "b")]
            }
            try bench.fail(try #require(try bench.receive().first), error: "no")
        }
        return bench
    }

    private func redrive(
        _ bench: Bench, isDryRun: Bool = false,
        _ choose: @escaping (Message) -> RedriveChoice
    ) throws -> RedriveCounts {
        var options = RedriveOptions()
        options.isDryRun = isDryRun
        // What is in memory only has no history that tells where it came from.
        options.target = try bench.store.queue("jobs")
        options.choose = { (message) throws(QueueError) in choose(message) }
        return try bench.store.redrive(try bench.store.queue("jobs.dead"), options)
    }

    @Test(arguments: [QueueDurability.disk, .memory])
    func `some go back changed, some stay, some are thrown away`(
        durability: QueueDurability
    ) throws {
        let bench = try bench(durability: durability, "stay", "go", "fix", "drop")
        func choose(_ message: Message) -> RedriveChoice {
            switch message.text {
            case "stay": .stay
            case "fix": .change(Array("something much longer than it was".utf8))
            case "drop": .drop
            default: .move
            }
        }
        let dry = try redrive(bench, isDryRun: true, choose)
        #expect(dry.moved == 2 && dry.dropped == 1)
        #expect(try bench.counts("jobs.dead") == [4, 0, 0, 0])
        let counts = try redrive(bench, choose)
        #expect(counts.moved == 2 && counts.dropped == 1)
        #expect(try bench.counts("jobs.dead") == [1, 0, 0, 0])
        for round in 0..<2 {
            let messages = try bench.store.peek(try bench.store.queue("jobs"))
            #expect(messages.map(\.text) == ["go", "something much longer than it was"])
            #expect(messages.allSatisfy { $0.orderingKey == "k" })
            #expect(durability == .memory || messages.allSatisfy { $0.history?.redrives == 1 })
            #expect(messages.allSatisfy { $0.headers == [Header("a", "b")] })
            // What is in memory only is not there after a restart.
            guard round == 0, durability == .disk else { return }
            try bench.restart()
        }
    }

    @Test func `what a reason or a choice leaves out is not looked at twice`() throws {
        let bench = try bench("1", "2", "3")
        var seen: [String] = []
        var options = RedriveOptions()
        options.rate = 1
        options.choose = { (message) throws(QueueError) in
            seen.append(message.text)
            return .stay
        }
        let dead = try bench.store.queue("jobs.dead")
        #expect(try bench.store.redrive(dead, options).moved == 0)
        #expect(seen == ["1", "2", "3"])
        options.reason = "expired"
        options.choose = nil
        #expect(try bench.store.redrive(dead, options).moved == 0)
        options.target = dead
        #expect { try bench.store.redrive(dead, options) } throws: { "\($0)".contains("itself") }
    }

    @Test func `a function says how long a message waits, or that it is dead`() throws {
        let function = RetryFunction { message, failure in
            switch message.text {
            case "wait": .wait(Int64(message.attempt) * 100)
            case "dead": failure.error == "no" ? .dead : .unknown
            default: .unknown
            }
        }
        let bench = try Bench {
            $0.retry.shape = .function(function)
            $0.retry.base = 7_000
        }
        try bench.fail(try bench.publishAndReceive("wait"), error: "no")
        #expect(try bench.counts() == [0, 0, 0, 1])
        bench.pass(99)
        #expect(try bench.counts() == [0, 0, 0, 1])
        bench.pass(1)
        let again = try #require(try bench.receive().first)
        try bench.fail(again, error: "no")
        bench.pass(199)
        #expect(try bench.counts() == [0, 0, 0, 1])
        bench.pass(1)
        try bench.acknowledge(try #require(try bench.receive().first))
        try bench.fail(try bench.publishAndReceive("dead"), error: "no")
        let dead = try bench.store.peek(try bench.store.queue("jobs.dead"))
        #expect(dead.first?.history?.reason == "given_up")
        // A lease that runs out asks as well; who does not know waits as the policy says.
        _ = try bench.publishAndReceive("other")
        bench.pass(30_000)
        #expect(try bench.counts() == [0, 0, 0, 1])
        bench.pass(6_999)
        #expect(try bench.counts() == [0, 0, 0, 1])
        bench.pass(1)
        #expect(try bench.counts() == [1, 0, 0, 0])
    }
}
