internal import CScripting

/// One name that a rule may use: the documentation and the allow list come from the same table.
public struct RuleAPIEntry: Sendable, Hashable {
    /// The name as a rule writes it: `drop`, `string.rep`.
    public var name: String
    /// How it is called.
    public var signature: String
    /// What it does, in a sentence or two.
    public var summary: String
    /// Lua that shows it, or nothing.
    public var example: String
    /// The heading it stands under in `tidewheel docs lua`.
    public var group: String
}

/// The whole rule API.
public enum RuleAPI {
    /// Every name that a rule may use, in the order of the documentation.
    public static let entries: [RuleAPIEntry] = (0..<tw_api_count()).map { index in
        let entry = unsafe tw_api_at(index)
        return RuleAPIEntry(
            name: unsafe String(cString: entry.name),
            signature: unsafe String(cString: entry.signature),
            summary: unsafe String(cString: entry.summary),
            example: unsafe String(cString: entry.example),
            group: unsafe String(cString: entry.group))
    }

    /// The documentation as Markdown: one heading per group, one paragraph per name.
    public static func markdown() -> String {
        var text = """
            # The rule API

            A rule file defines `function process(r, meta)`. It changes the record `r` in place; \
            no return passes it on. Everything below may be called; nothing else exists.

            ## What process returns

            | a rule returns | meaning |
            |---|---|
            | nothing, or the record | pass it on |
            | `drop(reason)` | drop it, counted under the reason |
            | `route(name)` | pass it to the stage's output `name` instead |
            | a list of records | these records instead of the one |
            | `reject(reason [, field])`, or any error | a dead letter with the original bytes |
            | `snooze(delay)` | in a handler: the message comes again later, uncounted |

            ## Timers

            A file that calls `state:timer` also defines `function on_timer(name, at, meta)`. It \
            is called when event time has passed `at`, in the order of time and name, in the stage \
            and partition that set the timer. It may use `state`, `emit` records and set timers \
            later than `at`, and returns nothing. An error makes one dead letter, and nothing \
            remains of what it did; the timer is gone all the same. At the end of the input every \
            timer fires; one that sets itself anew then stays for the next run.

            ## Functions that queues ask

            `retry:` of a queue names a file with `function retry(message, attempt, error)`: it \
            returns seconds to wait (or a text such as "10s"), or nil for dead. `rule:` of a route \
            names one with `function match(message)`, true when the route takes it; that of \
            `queue redrive --map` has `function map(message)`, which changes `message.payload`, or \
            returns `drop()`. A message has `payload`, `headers`, `priority`, `id`, `queue`, \
            `attempt`, `key`, `correlation`, and once dead `reason`, `source_queue`, `attempts`.

            ## What meta tells

            `id`, `source`, `file`, `position`, `line`, `time`, `key`, `partition`, `stage`, \
            `rule_set`, `attempt`, `headers`.

            ## Records

            `r.field` reads, `r.field = value` writes, `r.field = nil` deletes; `pairs(r)`, \
            `ipairs(r.list)` and `#r.list` work, also on nested values, which can be changed in \
            place. What a rule does not touch keeps its bytes. A record cannot be used after its \
            call; `r:copy()` makes one that can.

            """
        var group = ""
        for entry in entries {
            if entry.group != group {
                group = entry.group
                text += "\n## \(group)\n"
            }
            text += "\n### \(entry.name)\n\n    \(entry.signature)\n\n\(entry.summary)\n"
            if !entry.example.isEmpty { text += "\n```lua\n\(entry.example)\n```\n" }
        }
        return text
    }
}
