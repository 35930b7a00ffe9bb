public import Connecting
internal import Threads

/// Where an outbox sink delivers, for one check of a suite.
public struct OutboxPlace {
    /// The sink.
    public var sink: any OutboxSink
    /// Lets the other side take what it is given.
    public var receive: () -> Void
    /// What the other side has been given by now.
    public var content: () -> String

    /// Creates a place; `receive` is called once, before `content`.
    public init(
        sink: any OutboxSink, receive: @escaping () -> Void, content: @escaping () -> String
    ) {
        self.sink = sink
        self.receive = receive
        self.content = content
    }
}

/// What every outbox sink has to hold: rows are out, whole and in order, when a call returns; the
/// same call brings the same bytes; and one that waits for the other side can be made to give up.
public struct OutboxSuite {
    private let make: () throws -> OutboxPlace

    /// Describes the sink; each call of `make` gives a place of its own.
    public init(make: @escaping () throws -> OutboxPlace) { self.make = make }

    /// Everything that does not hold; empty when all does.
    public func violations() -> [String] {
        do { return try checkOrder() + checkAgain() + checkGivingUp() } catch {
            return ["an error: \(error)"]
        }
    }

    private static let calls: [[String]] = [
        ["{\"n\":1}"], ["{\"n\":2}", "{\"n\":3}", "{}"],
        ["{\"text\":\"\(String(repeating: "é", count: 4000))\"}", "{\"n\":6}"],
        (7...300).map { "{\"n\":\($0)}" },
    ].map { $0.map { $0 + "\n" } }

    private func deliver(
        _ lines: [String], first: UInt64, to sink: any OutboxSink
    ) throws(ConnectorError) {
        let key = RowKey(pipeline: "pipeline", sink: "sink", number: first)
        let bytes = Array(lines.joined().utf8)
        try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
            try unsafe sink.deliver(bytes, count: lines.count, first: key)
        }
    }

    private func checkOrder() throws -> [String] {
        let place = try make()
        place.receive()
        var first: UInt64 = 1
        for lines in Self.calls {
            try deliver(lines, first: first, to: place.sink)
            first += UInt64(lines.count)
        }
        try place.sink.finish()
        let found = place.content().split(separator: "\n").map(String.init)
        let wanted = Self.calls.flatMap { $0 }.map { $0.dropLast() }
        guard found.count == wanted.count else {
            return ["\(found.count) rows were delivered, not \(wanted.count)"]
        }
        // A sink may add its key as a first member; what follows it is the row.
        return zip(found, wanted).compactMap { found, wanted in
            found.hasSuffix(wanted.dropFirst())
                ? nil : "\(found.prefix(60)) is not \(wanted.prefix(60))"
        }
    }

    /// What comes again after a kill.
    private func checkAgain() throws -> [String] {
        let contents = try (0..<2).map { _ in
            let place = try make()
            place.receive()
            try deliver(Self.calls[1], first: 17, to: place.sink)
            place.sink.abandon()
            return place.content()
        }
        return contents[0] == contents[1]
            ? [] : ["the same rows and key give \(contents[0]), then \(contents[1])"]
    }

    /// Nobody takes the rows, and the run cannot wait.
    private func checkGivingUp() throws -> [String] {
        struct Box: @unchecked Sendable {  // `giveUp` may be called from any thread.
            let sink: any OutboxSink
        }
        let box = Box(sink: try make().sink)
        let ended = Channel<Bool>(capacity: 1)
        let suite = Sender(lines: (0..<40_000).map { "{\"n\":\($0)}\n" })
        WorkerThread {
            do throws(ConnectorError) {
                try suite.deliver(to: box.sink)
                ended.send(true)
            } catch { ended.send(false) }
        }.detach()
        // Whether the thread waits already does not matter.
        box.sink.giveUp()
        box.sink.giveUp()
        guard let isDelivered = ended.receive(milliseconds: 20_000) else {
            return ["a delivery that waits does not give up"]
        }
        return isDelivered ? ["a delivery ends well although nobody took the rows"] : []
    }

    private struct Sender: Sendable {
        let lines: [String]

        func deliver(to sink: any OutboxSink) throws(ConnectorError) {
            let key = RowKey(pipeline: "pipeline", sink: "sink", number: 1)
            let bytes = Array(lines.joined().utf8)
            try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
                try unsafe sink.deliver(bytes, count: lines.count, first: key)
            }
        }
    }
}
