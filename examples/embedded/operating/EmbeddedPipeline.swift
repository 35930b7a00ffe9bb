import Tidewheel

/// A pipeline with a store, operated by the program that runs it: records are durable when `ingest`
/// returns, rules are replaced while the stream runs, and what happens can be looked at.
@main
struct EmbeddedPipeline {
    static func main() async throws {
        let folder =
            CommandLine.arguments.dropFirst().first ?? "examples/embedded/operating/pipeline"
        // The rules are edited below, and the store is thrown away: both in a copy.
        let copy = WorkingCopy(of: folder)
        var pipeline = try Pipeline(folder: copy.path)
        pipeline.log = { line in print("log: \(line)") }
        let running = try pipeline.start()
        // Each of these is committed when the call returns; the last cannot be calculated.
        try await running.ingest(["order": 1, "net": 100])
        try await running.ingest(contentsOf: [["order": 2, "net": 200], ["order": 3, "net": "?"]])

        // Somebody breaks the rule: its test fails, and the version of before goes on.
        let rule = "function process(r) r.total = NET * FACTOR end"
        copy.write(filled(rule, "r.net", "1.9"), to: "rules/price.lua")
        let refused = await running.reload()
        print("reload: \(refused.result) at the step \(refused.step ?? "?")")

        // This one passes, and is tried on the last records before it takes over.
        copy.write(filled(rule, "(tonumber(r.net) or 0)", "1.19"), to: "rules/price.lua")
        let accepted = await running.reload()
        print("reload: \(accepted.result); \(accepted.shadow?.text ?? "there was no record yet")")

        for letter in try await running.deadLetters() {
            print("dead letter \(letter.id)")
            let explanation = try await running.explain(letter.id)
            print("today: \(explanation.steps.last?["outcome"]?.text ?? "?")")
        }
        let replayed = try await running.replay()
        print("replayed: \(replayed.delivered) delivered, \(replayed.dead) dead")
        let back = await running.rollBack(to: running.versions[0].version)
        print("rollback: \(back.result)")
        let metrics = running.metrics()
        print("read \(metrics.read), dead letters \(metrics.deadLetters)")
        try await running.stop()
        print(copy.text("out/prices.jsonl"), terminator: "")

        // The next run goes on where this one has ended.
        let next = try Pipeline(folder: copy.path).start()
        try await next.ingest(["order": 4, "net": 10])
        try await next.stop()
        print(copy.text("out/prices.jsonl").split(separator: "\n").count, "rows")
    }

    private static func filled(_ rule: String, _ net: String, _ factor: String) -> String {
        rule.replacing("NET", with: net).replacing("FACTOR", with: factor)
    }
}
