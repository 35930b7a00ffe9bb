/// A function by its file; `text` is given for one that is not part of the pipeline.
package struct QueueFunction: Hashable, Sendable {
    /// The file, relative to the folder.
    package var file: String
    /// The text of a file that is not part of the pipeline.
    package var text: [UInt8]?
    /// Which function of it.
    package var function: ScriptFunction

    /// Names a function.
    package init(file: String, text: [UInt8]?, function: ScriptFunction) {
        self.file = file
        self.text = text
        self.function = function
    }
}

/// What the engine calls in a file, by its name.
package enum ScriptFunction: String, Hashable, Sendable, CaseIterable {
    /// `retry(message, attempt, error)`: seconds to wait, or nil for dead.
    case retry
    /// `match(message)`: true when a route takes it.
    case match
    /// `map(message)`: the message with another payload, or `drop()`.
    case map

    /// How it is called, for messages about it.
    package var signature: String {
        switch self {
        case .retry: "retry(message, attempt, error)"
        case .match: "match(message)"
        case .map: "map(message)"
        }
    }

    /// Put behind a file, this makes a rule of it that calls the function.
    package var epilogue: String {
        let check =
            "\nif type(\(rawValue)) ~= \"function\" then "
            + "error(\"the file defines no function \(signature)\", 0) end\n"
        switch self {
        case .retry:
            return check + "function process(r) return "
                + "{{result = retry(r.message, r.attempt, r.error)}} end\n"
        case .match:
            return check
                + "function process(r) return {{result = match(r.message) and true or false}} end\n"
        case .map:
            return check + "function process(r) local m = map(r.message) "
                + "if m == nil then m = r.message end "
                + "if tostring(m):sub(1, 5) == \"drop(\" then return m end "
                + "return {{result = m.payload}} end\n"
        }
    }
}
