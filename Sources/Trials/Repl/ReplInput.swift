package import Definitions
internal import Engine

/// Where the records of a session come from.
package enum ReplInput: Sendable, Hashable {
    /// A file of JSON lines or CSV.
    case file(String)
    /// Messages of a queue, which are only looked at.
    case queue(String, most: Int)
    /// Dead letters: those with the given ids, or all.
    case letters([String])
    /// Records that pass a point of a stage of the running pipeline.
    case tap(stage: String, point: String?, most: Int)

    /// How many records there are at most, whatever was asked for.
    package static let limit = 100_000

    /// What follows `:load`; throws what is wrong with it.
    package init(command text: String) throws(PipelineError) {
        let words = text.split(separator: " ").map(String.init)
        let rest = Array(words.dropFirst())
        switch words.first {
        case "queue":
            guard let name = rest.first, rest.count < 3 else {
                throw PipelineError(
                    exitCode: 2, ":load queue needs the name of a queue, and may have a number")
            }
            self = .queue(name, most: try Self.count(rest.dropFirst().first, else: 100))
        case "dlq": self = .letters(rest)
        case "tap":
            guard let point = rest.first, rest.count < 3 else {
                throw PipelineError(
                    exitCode: 2,
                    ":load tap needs STAGE, STAGE.in or STAGE.dead, and may have a number")
            }
            self = Self.tap(point, try Self.count(rest.dropFirst().first, else: 10))
        default: self = .file(text)
        }
    }

    /// What `--input` says: `queue:NAME`, `dlq`, `dlq:ID`, `tap:STAGE.in`, or a file; a file of
    /// such a name goes before.
    package init(option text: String) {
        func rest(after prefix: String) -> String? {
            text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
        }
        if exists(text) {
            self = .file(text)
        } else if text == "dlq" {
            self = .letters([])
        } else if let id = rest(after: "dlq:") {
            self = .letters(id.isEmpty ? [] : [id])
        } else if let name = rest(after: "queue:") {
            self = .queue(name, most: 100)
        } else if let point = rest(after: "tap:") {
            self = Self.tap(point, 10)
        } else {
            self = .file(text)
        }
    }

    private static func tap(_ text: String, _ most: Int) -> ReplInput {
        let parts = text.split(separator: ".", maxSplits: 1).map(String.init)
        return .tap(stage: parts.first ?? "", point: parts.count > 1 ? parts[1] : nil, most: most)
    }

    private static func count(_ text: String?, else usual: Int) throws(PipelineError) -> Int {
        guard let text else { return usual }
        guard let number = Int(text), (1...limit).contains(number) else {
            throw PipelineError(
                exitCode: 2, "\"\(text)\" is no number of records, which is 1 to \(limit)")
        }
        return number
    }

    /// As people see it.
    var name: String {
        switch self {
        case .file(let path): path
        case .queue(let name, _): "the queue \(name)"
        case .letters: "the list of dead letters"
        case .tap(let stage, let point, _): stage + (point.map { ".\($0)" } ?? "")
        }
    }
}
