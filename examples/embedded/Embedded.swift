import Tidewheel

/// Runs the pipeline folder beside this file inside a program of its own: records go in one by
/// one, a stage and a sink are Swift closures, and an output is read as it comes.
@main
struct Embedded {
    static func main() async throws {
        let folder = CommandLine.arguments.dropFirst().first ?? "examples/embedded/pipeline"
        var pipeline = try Pipeline(folder: folder)
        try pipeline.insertStage("small_only", after: "shape") { order in
            order.fields.count < 10 ? .pass : .drop("too many fields")
        }
        try pipeline.addSink("letters", from: "dead_letters") { letter in
            print("dead letter:", letter["reason"]?.text ?? "?")
        }
        let orders = try pipeline.output(from: "small_only")
        let running = try pipeline.start()

        let reader = Task {
            var total = 0.0
            for await order in orders {
                print("order:", order)
                if case .number(let amount) = order["total"] { total += amount }
            }
            return total
        }
        await running.ingest(["id": "a1", "price": 2.5, "quantity": 3])
        await running.ingest(["id": "a2", "price": 10, "quantity": 1])
        await running.ingest(["id": "a3", "price": "free", "quantity": 1])
        let summary = try await running.stop()
        print("total:", await reader.value)
        print("read \(summary.read), dead letters \(summary.counts.deadLetters)")
    }
}
