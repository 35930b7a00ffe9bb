/// A name that messages are published to, and the queues they go to from there.
public struct Exchange: Sendable {
    /// Its name; no queue has it.
    public var name: String
    /// Where messages go.
    public var router: Router
    /// Tells the topic of a message whose publisher gives none.
    public var topic: @Sendable (NewMessage) -> String?

    /// An exchange with a router.
    public init(
        _ name: String, _ router: Router,
        topic: @escaping @Sendable (NewMessage) -> String? = { _ in nil }
    ) {
        self.name = name
        self.router = router
        self.topic = topic
    }

    /// The queues a message goes to. Throws when there are none: nothing is lost in silence.
    public func targets(
        of message: NewMessage, topic given: String?
    ) throws(QueueError) -> [QueueHandle] {
        let topic = given ?? topic(message) ?? ""
        let queues = router.targets(of: message, routingKey: topic).queues
        guard !queues.isEmpty else {
            throw QueueError(
                .unroutable,
                "no route of \"\(name)\" takes the message (its topic is \"\(topic)\"); add a "
                    + "route or an alternate")
        }
        return queues
    }
}

/// Where a publisher can publish to: a queue, or an exchange.
public enum PublishTarget: Sendable {
    /// One queue.
    case queue(QueueHandle)
    /// Whichever queues the exchange says.
    case exchange(Exchange)

    /// The queues a message goes to. Throws when an exchange knows none.
    public func queues(
        for message: NewMessage, topic: String?
    ) throws(QueueError) -> [QueueHandle] {
        switch self {
        case .queue(let queue): [queue]
        case .exchange(let exchange): try exchange.targets(of: message, topic: topic)
        }
    }
}

extension Store {
    /// Finds what a publisher means by a name. Throws when it is neither queue nor exchange.
    public func target(
        _ name: String, among exchanges: [Exchange]
    ) throws(QueueError) -> PublishTarget {
        if let exchange = exchanges.first(where: { $0.name == name }) {
            return .exchange(exchange)
        }
        return .queue(try queue(name))
    }

    /// Waits until a transaction is as durable as each of the queues says.
    public func wait(for sequence: UInt64, _ queues: [QueueHandle]) throws(QueueError) {
        for queue in queues { try wait(for: sequence, queue) }
    }
}
