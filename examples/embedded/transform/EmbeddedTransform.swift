import Tidewheel

/// A service that lets a pipeline work on its orders: values of Swift go in, rules in Lua and a
/// stage in Swift work on them, and what comes out is read as values of Swift.
@main
struct EmbeddedTransform {
    struct Order: Codable, Sendable {
        var id: String
        var price: Double
        var quantity: Int
    }

    struct PricedOrder: Codable, Sendable {
        var id: String
        var total: Double
    }

    static func main() async throws {
        let folder =
            CommandLine.arguments.dropFirst().first ?? "examples/embedded/transform/pipeline"
        var pipeline = try Pipeline(folder: folder)
        try pipeline.insertStage("affordable", after: "shape") { order in
            guard let total = order["total"]?.double else { return .reject("it has no total") }
            return total < 1000 ? .pass : .drop("too dear")
        }
        try pipeline.addSink("letters", from: "dead_letters") { letter in
            print("dead letter:", letter["reason"]?.text ?? "?")
        }
        let priced = try pipeline.output(from: "affordable")
        // Nothing is kept here: what is under way when the program dies is gone.
        let running = try pipeline.start(fresh: true)

        let reader = Task {
            var sum = 0.0
            for await record in priced {
                let order = try record.decode(PricedOrder.self)
                print("order \(order.id): \(order.total)")
                sum += order.total
            }
            return sum
        }
        for order in [
            Order(id: "a1", price: 2.5, quantity: 3), Order(id: "a2", price: 10, quantity: 1),
            Order(id: "a3", price: 999, quantity: 2),
        ] {
            try await running.ingest(encoding: order)
        }
        // A record as it came, with a price that no rule can calculate with.
        try await running.ingest(["id": "a4", "price": "free", "quantity": 1])
        let summary = try await running.stop()
        print("sum: \(try await reader.value)")
        print("read \(summary.read), dead letters \(summary.counts.deadLetters)")
    }
}
