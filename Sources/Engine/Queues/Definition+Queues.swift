internal import Connecting
public import Definitions
public import Queueing
internal import Records

/// Queues and exchanges of a pipeline over a store.
extension Definition {
    /// The queues as a store is told; policies in Lua ask `scripts`.
    public func queueSettings(_ scripts: QueueScripts) -> [QueueSettings] {
        queues.map { queue in
            var settings = queue.settings
            if let file = queue.retryScript?.path {
                settings.retry.shape = .function(
                    scripts.retry(file, fallback: queue.retryFallback))
            }
            return settings
        }
    }

    /// The exchanges over the queues of a store. Throws when a queue is not there.
    public func exchanges(
        _ scripts: QueueScripts, queue: (String) throws(QueueError) -> QueueHandle
    ) throws(QueueError) -> [Exchange] {
        var found: [Exchange] = []
        for definition in exchanges {
            var router = Router()
            for route in definition.routes {
                let rule: Router.Rule =
                    switch route.condition {
                    case .everything: .everything
                    case .topic(let pattern): .topic(pattern)
                    case .headers(let rules, isAny: true): .anyHeader(rules)
                    case .headers(let rules, isAny: false): .allHeaders(rules)
                    case .script(let file): .content(scripts.match(file.path))
                    }
                for name in route.queues { router.add(rule, to: try queue(name)) }
            }
            router.alternate = try definition.alternate.map(queue)
            let field = definition.topicField
            found.append(
                Exchange(definition.name, router) { message in
                    field.flatMap { name in
                        (try? Record(json: message.payload))?[name]?.text
                    }
                })
        }
        return found
    }
}
