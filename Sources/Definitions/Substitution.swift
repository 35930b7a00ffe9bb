internal import Connecting

/// Replaces `${NAME}` and `${NAME:-default}` in every scalar; `$${` stands for a plain `${`.
///
/// It happens after YAML was read, so a value can never change the structure.
struct Substitution {
    let environment: [String: String]
    private(set) var findings: [Diagnostic] = []
    /// The variables that are not set.
    private var unset: Set<Diagnostic> = []
    /// The findings other than variables that are not set.
    var errors: [Diagnostic] { findings.filter { !unset.contains($0) } }

    init(environment: [String: String]) { self.environment = environment }

    mutating func apply(to setting: Setting) -> Setting {
        var result = setting
        switch setting.content {
        case .null: break
        case .scalar(let text, let quoted):
            if text.contains("${") {
                result.content = .scalar(replace(text, at: setting.location), quoted: quoted)
            }
        case .sequence(let items): result.content = .sequence(items.map { apply(to: $0) })
        case .mapping(let entries):
            result.content = .mapping(
                entries.map { entry in
                    var changed = entry
                    changed.value = apply(to: entry.value)
                    return changed
                })
        }
        return result
    }

    private mutating func replace(_ text: String, at location: Location) -> String {
        var result = ""
        var rest = Substring(text)
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                result += "${"
                rest = rest.dropFirst(3)
            } else if rest.hasPrefix("${") {
                guard let end = rest.firstIndex(of: "}") else {
                    findings.append(Diagnostic(at: location, "\"${\" without its \"}\""))
                    return text
                }
                result += value(of: String(rest.dropFirst(2)[..<end]), at: location)
                rest = rest[rest.index(after: end)...]
            } else {
                result += "$"
                rest = rest.dropFirst()
            }
        }
        return result + rest
    }

    private mutating func value(of reference: String, at location: Location) -> String {
        let parts = reference.split(separator: ":-", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        if !isName(name, others: []) || parts.last?.contains("${") == true {
            let problem = "\"${\(reference)}\" must be ${NAME} or ${NAME:-default}"
            findings.append(Diagnostic(at: location, problem))
            return "${\(reference)}"
        }
        if let value = environment[name], !(value.isEmpty && parts.count > 1) { return value }
        if parts.count > 1 { return String(parts[1]) }
        let missing = Diagnostic(
            at: location,
            "the environment variable \(name) is not set; set it, or write ${\(name):-default}")
        findings.append(missing)
        unset.insert(missing)
        return "${\(name)}"
    }
}
