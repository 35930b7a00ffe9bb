package import Connecting
internal import Yams

/// Reads YAML text into settings that know their places; reports everything that is not plain.
package struct YAMLReader {
    let file: String
    /// What is wrong with the text.
    package private(set) var findings: [Diagnostic] = []
    private var text: MarkedText
    private var isBroken = false
    /// Bytes of the largest document; reading it takes a second or so.
    private static let largest = 2 << 20

    /// Reads a file of this name, for findings about it.
    package init(file: String) {
        self.file = file
        text = MarkedText("")
    }

    /// The settings of one document, or nil when it cannot be read at all.
    package mutating func read(_ source: String) -> Setting? {
        let size = source.utf8.count
        guard size <= Self.largest else {
            report(nil, "the file has \(size) bytes; YAML of more than 2 MiB is not read")
            return nil
        }
        text = MarkedText(source)
        // Every round tells one repeated key apart; a file of nothing else is not worth more.
        for _ in 0..<min(100, Self.largest * 2 / max(1, size)) {
            do {
                let parser = try Parser(yaml: text.joined, resolver: .basic, encoding: .utf8)
                // Nodes only borrow their anchors from the parser.
                return try withExtendedLifetime(parser) { try convertRoot($0) }
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                if text.markKey(line: context.mark.line, column: context.mark.column) { continue }
                report(context.mark, "the key \"\(keys.first ?? "")\" is given twice")
            } catch let error as YamlError {
                report(error)
            } catch {
                report(nil, "the YAML cannot be read: \(error)")
            }
            return nil
        }
        report(nil, "too many keys are given twice")
        return nil
    }

    private mutating func convertRoot(_ parser: Parser) throws -> Setting? {
        guard let root = try parser.singleRoot() else {
            report(nil, "the file is empty")
            return nil
        }
        let setting = convert(root)
        return isBroken ? nil : setting
    }

    private func place(_ mark: Mark?) -> Location {
        guard let mark else { return Location(file: file, line: 1, column: 1) }
        let column = text.originalColumn(line: mark.line, column: mark.column)
        return Location(file: file, line: mark.line, column: column)
    }

    private mutating func report(_ mark: Mark?, _ message: String) {
        report(at: place(mark), message)
    }

    private mutating func report(at location: Location, _ message: String) {
        let finding = Diagnostic(at: location, message)
        if !findings.contains(finding) { findings.append(finding) }
    }

    private mutating func report(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            let hint = text.line(mark.line).contains("${") ? "; a value with ${ needs quotes" : ""
            report(mark, "YAML: \(problem)\(hint)")
        case .composer(let context, let problem, let mark, _):
            report(mark, "YAML: \(context.map { $0.text + " " } ?? "")\(problem)")
        case .reader(let problem, let offset, _, let yaml):
            let before = yaml.prefix(offset ?? 0)
            let line = before.count { $0.isNewline } + 1
            let start = before.lastIndex { $0.isNewline }.map { before.index(after: $0) }
            let column = before[(start ?? before.startIndex)...].unicodeScalars.count + 1
            report(
                at: Location(
                    file: file, line: line,
                    column: text.originalColumn(line: line, column: column)),
                "YAML: \(problem)")
        default: report(nil, "YAML: \(error)")
        }
    }

    private mutating func convert(_ node: Node) -> Setting {
        let location = place(node.mark)
        if node.anchor != nil {
            report(node.mark, "anchors and aliases are not supported; write the value out")
            // A small file of nested aliases would become endless, so only texts are looked at.
            guard case .scalar = node else {
                isBroken = true
                return Setting(.null, at: location)
            }
        }
        checkTag(node)
        switch node {
        case .scalar(let scalar):
            let isQuoted = scalar.style != .plain
            if !isQuoted, ["", "~", "null"].contains(scalar.string) {
                return Setting(.null, at: location)
            }
            return Setting(.scalar(scalar.string, quoted: isQuoted), at: location)
        case .sequence(let sequence):
            return Setting(.sequence(sequence.map { convert($0) }), at: location)
        case .mapping(let mapping):
            return Setting(.mapping(entries(of: mapping)), at: location)
        case .alias:
            report(node.mark, "anchors and aliases are not supported; write the value out")
            isBroken = true
            return Setting(.null, at: location)
        }
    }

    private mutating func checkTag(_ node: Node) {
        let tag = node.tag.description
        let usual = [Tag.Name.implicit, .str, .seq, .map].map(\.rawValue)
        if !usual.contains(tag) { report(node.mark, "tags such as \(tag) are not supported") }
    }

    private mutating func entries(of mapping: Node.Mapping) -> [Setting.Entry] {
        var entries: [Setting.Entry] = []
        var names: Set<String> = []
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key, key.anchor == nil else {
                report(key.mark, "a key must be a text")
                continue
            }
            let name = text.withoutMarkers(scalar.string)
            if !names.insert(name).inserted {
                report(key.mark, "the key \"\(name)\" is given twice in this mapping")
                continue
            }
            let setting = convert(value)
            entries.append(Setting.Entry(key: name, location: place(key.mark), value: setting))
        }
        return entries
    }
}
