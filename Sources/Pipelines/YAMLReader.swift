internal import Stages
internal import Yams

/// Reads YAML text into settings that know their places; reports everything that is not plain.
struct YAMLReader {
    let file: String
    private var text = ""
    private(set) var findings: [Diagnostic] = []

    init(file: String) { self.file = file }

    /// The settings of one document, or nil when it cannot be read at all.
    mutating func read(_ text: String) -> Setting? {
        self.text = text
        do {
            let parser = try Parser(yaml: text, resolver: .basic)
            guard let root = try parser.singleRoot() else {
                report(nil, "the file is empty")
                return nil
            }
            return convert(root)
        } catch let error as YamlError {
            report(error)
        } catch {
            report(nil, "the YAML cannot be read: \(error)")
        }
        return nil
    }

    private mutating func report(_ mark: Mark?, _ message: String) {
        let location = Location(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1)
        findings.append(Diagnostic(at: location, message))
    }

    private mutating func report(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            report(mark, "YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            for key in duplicates {
                findings.append(
                    Diagnostic(
                        at: secondPlace(of: key, from: context.mark),
                        "the key \"\(key)\" is given twice in this mapping"))
            }
        default: report(nil, "YAML: \(error)")
        }
    }

    /// The parser names only the mapping, so the second occurrence is looked up in the text.
    private func secondPlace(of key: String, from mark: Mark) -> Location {
        var seen = 0
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for index in (mark.line - 1)..<max(mark.line - 1, lines.count) {
            let line = Array(lines[index])
            let wanted = Array(key)
            var at = index == mark.line - 1 ? mark.column - 1 : 0
            while at + wanted.count <= line.count {
                let before = at == 0 ? " " : line[at - 1]
                let rest = line[(at + wanted.count)...].drop { $0 == " " || $0 == "\"" }
                if Array(line[at..<(at + wanted.count)]) == wanted, rest.first == ":",
                    " {,\"'".contains(before)
                {
                    seen += 1
                    if seen == 2 { return Location(file: file, line: index + 1, column: at + 1) }
                }
                at += 1
            }
        }
        return Location(file: file, line: mark.line, column: mark.column)
    }

    private mutating func convert(_ node: Node) -> Setting {
        let location = Location(
            file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
        switch node {
        case .scalar(let scalar):
            let quoted = scalar.style == .singleQuoted || scalar.style == .doubleQuoted
            let isNull = !quoted && ["", "~", "null"].contains(scalar.string)
            if isNull { return Setting(.null, at: location) }
            return Setting(.scalar(scalar.string, quoted: quoted), at: location)
        case .sequence(let sequence):
            return Setting(.sequence(sequence.map { convert($0) }), at: location)
        case .mapping(let mapping):
            var entries: [Setting.Entry] = []
            for (key, value) in mapping {
                let place = Location(
                    file: file, line: key.mark?.line ?? 1, column: key.mark?.column ?? 1)
                guard let name = key.string else {
                    findings.append(Diagnostic(at: place, "a key must be a text"))
                    continue
                }
                entries.append(Setting.Entry(key: name, location: place, value: convert(value)))
            }
            return Setting(.mapping(entries), at: location)
        case .alias:
            findings.append(Diagnostic(at: location, "aliases are not supported here"))
            return Setting(.null, at: location)
        }
    }
}
