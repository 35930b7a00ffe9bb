internal import Connecting
internal import Engine
internal import Scripting

/// Looks for places in the text of a rule file.
struct RuleLines {
    private let path: String
    private let lines: [Substring]

    init(_ script: RuleSet.File) {
        path = script.path
        lines = String(decoding: script.bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// An error while loading, with the place that `FILE:LINE:` at its start names.
    func problem(_ text: String) -> RuleProblem {
        let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let line = Int(parts[1]) else {
            return RuleProblem(message: text, file: path, line: 0)
        }
        return RuleProblem(message: text, file: String(parts[0]), line: line)
    }

    /// The line to look at first: of the error, or where the differing field is assigned, or where
    /// `process` begins.
    func place(of failure: RuleTestFailure) -> Location? {
        if let error = failure.errors.first(where: { $0.line > 0 && $0.file == path }) {
            return location(error.line)
        }
        for difference in failure.differences {
            let name = difference.path.split { !($0.isLetter || $0.isNumber || $0 == "_") }.last
            guard let name else { continue }
            if let index = lines.firstIndex(where: { assigns(name, $0) }) {
                return location(index + 1)
            }
        }
        return lines.firstIndex { $0.contains("function process") }.map { location($0 + 1) }
    }

    private func location(_ line: Int) -> Location {
        Location(file: path, line: line, column: 1)
    }

    /// Whether the line has `.name =`, but not `.name ==`.
    private func assigns(_ name: Substring, _ line: Substring) -> Bool {
        guard let range = line.firstRange(of: "." + name) else { return false }
        let rest = line[range.upperBound...].drop { $0 == " " }
        return rest.hasPrefix("=") && !rest.hasPrefix("==")
    }
}
