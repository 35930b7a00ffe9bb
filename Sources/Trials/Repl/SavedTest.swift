internal import Connecting
internal import Definitions
internal import Engine
internal import Glibc
internal import Records
internal import Scripting

/// The last run as a test.
struct SavedTest {
    let name: String
    let input: Value
    let last: LastRun
    /// Whether the rule asks for the time, so that the test must say it.
    let usesTime: Bool
    let stage: String

    private var fields: [Field] {
        var fields = [Field("name", .string(name)), Field("in", input)]
        if usesTime { fields.append(Field("now", .string(Self.format(last.second)))) }
        fields += outcome
        let changes = last.result.changes.filter { $0.kind == .value }
        if !last.state.isEmpty || !changes.isEmpty {
            let after = changes.map {
                Field(String(decoding: $0.key, as: UTF8.self), $0.storedValue ?? .null)
            }
            fields.append(
                Field(
                    "state",
                    .object([Field("before", .object(last.state)), Field("after", .object(after))]))
            )
        }
        return fields
    }

    private var outcome: [Field] {
        let result = last.result
        if let problem = result.problem {
            // The place moves with every edit; the words stay.
            var message = problem.message
            if let range = message.firstRange(of: ":\(problem.line): ") {
                message = String(message[range.upperBound...])
            }
            if message.hasPrefix("rejected: ") { message = String(message.dropFirst(10)) }
            return [Field("error", .string(message))]
        }
        var fields: [Field] = []
        if let output = result.outputs.first, result.main.isEmpty {
            fields = [Field("routed", .string(output.name)), Field("out", rows(output.rows))]
        } else if !result.main.isEmpty {
            fields = [Field("out", rows(result.main))]
            let others = result.outputs.map { Field($0.name, .array(values($0.rows))) }
            if !others.isEmpty { fields.append(Field("outputs", .object(others))) }
        }
        if let reason = result.dropped.first { fields.append(Field("dropped", .string(reason))) }
        return fields
    }

    private func rows(_ rows: [[UInt8]]) -> Value {
        let values = values(rows)
        return values.count == 1 ? values[0] : .array(values)
    }

    private func values(_ rows: [[UInt8]]) -> [Value] {
        rows.compactMap { row in
            var reader = JSONReader(row)
            return try? reader.readDocument()
        }
    }

    /// RFC 3339 in UTC.
    private static func format(_ second: Int) -> String {
        var parts = unsafe tm()
        var moment = time_t(second)
        var text = [UInt8](repeating: 0, count: 32)
        unsafe gmtime_r(&moment, &parts)
        let length = unsafe text.withUnsafeMutableBytes { buffer in
            unsafe strftime(buffer.baseAddress, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        }
        return String(decoding: text.prefix(length), as: UTF8.self)
    }

    /// A test file with this test at its end; nil when the file is none.
    func added(to bytes: [UInt8]?, rule: String) -> String? {
        let ruleName = rule.split(separator: "/").last.map(String.init) ?? rule
        let known = bytes.map { String(decoding: $0, as: UTF8.self) } ?? "rule: \(ruleName)\n"
        var yaml = YAMLReader(file: "test")
        guard let root = yaml.read(known), yaml.findings.isEmpty,
            case .mapping(let entries) = root.content
        else { return nil }
        let edits = YAMLEdits(known)
        guard let tests = entries.first(where: { $0.key == "tests" }) else {
            let end = known.hasSuffix("\n") ? "" : "\n"
            return known + end + "tests:\n" + edits.item(fields, indent: 2) + "\n"
        }
        return edits.appending(fields, to: tests.value)
    }
}

extension YAMLEdits {
    /// A mapping as an item of a list, its fields each on a line.
    func item(_ fields: [Field], indent: Int) -> String {
        let space = String(repeating: " ", count: indent)
        return fields.enumerated().map { index, field in
            space + (index == 0 ? "- " : "  ") + "\(field.name): \(flow(field.value))"
        }.joined(separator: "\n")
    }
}
