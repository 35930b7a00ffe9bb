package import Connecting
package import Definitions
internal import Glibc

/// The plan of a folder that is to be run.
///
/// - Throws: `DiagnosticList` with everything that is wrong in the folder.
package func runnablePlan(
    in folder: String, catalogue: Catalogue
) throws(DiagnosticList) -> Plan {
    let definition = try readDefinition(
        folder: folder, environment: environment(), catalogue: catalogue)
    if definition.sources.isEmpty, definition.handlers.isEmpty {
        // Only a folder of nothing but queues comes so far.
        throw DiagnosticList(
            "pipeline.yaml needs the key \"source\" or \"handlers\" to be run; it declares "
                + "queues only")
    }
    return try Plan(definition)
}

/// The plan of a folder whose rules are only looked at: no source and no sink is opened, and a
/// folder without `pipeline.yaml` is taken as one with the usual settings.
///
/// - Throws: `DiagnosticList` with everything that is wrong in the folder.
package func rulesPlan(
    in folder: String, catalogue: Catalogue
) throws(DiagnosticList) -> Plan {
    if unsafe access(folder + "/pipeline.yaml", F_OK) != 0,
        unsafe access(folder + "/rules", F_OK) == 0
    {
        return try Plan(rulesIn: folder)
    }
    let definition = try readDefinition(
        folder: folder, environment: environment(), catalogue: catalogue, needsVariables: false)
    return try Plan(definition)
}

/// Findings with their source lines.
package func describe(_ findings: [Diagnostic], in folder: String) -> String {
    var cache: [String: [Substring]] = [:]
    return render(findings) { file, line in
        if cache[file] == nil {
            let bytes = readWholeFile(file.hasPrefix("/") ? file : folder + "/" + file) ?? []
            cache[file] = String(decoding: bytes, as: UTF8.self)
                .split(separator: "\n", omittingEmptySubsequences: false)
        }
        guard let lines = cache[file], line >= 1, line <= lines.count else { return nil }
        return String(lines[line - 1])
    }
}

/// The environment's variables.
package func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var index = 0
    while let entry = unsafe environ[index] {
        let text = unsafe String(cString: entry)
        if let sign = text.firstIndex(of: "=") {
            variables[String(text[..<sign])] = String(text[text.index(after: sign)...])
        }
        index += 1
    }
    return variables
}
