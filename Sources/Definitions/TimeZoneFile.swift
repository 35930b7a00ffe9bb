internal import Connecting
internal import Windowing

/// Finding the rules of a time zone on this machine: in `$TZDIR`, or where Linux keeps them.
extension DefinitionReader {
    mutating func timeZone(_ name: String, at location: Location) -> TimeZoneRules? {
        if name == "UTC" { return .utc }
        if let known = zones[name] { return known }
        do {
            let zone = try loadZone(name)
            zones[name] = zone
            return zone
        } catch {
            findings.append(Diagnostic(at: location, error.description))
            return nil
        }
    }

    private func loadZone(_ name: String) throws(PipelineError) -> TimeZoneRules {
        let folder = environment["TZDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/usr/share/zoneinfo"
        guard isFolder(folder) else {
            throw PipelineError(
                exitCode: 2,
                "\(folder) is missing: install the package tzdata, or set TZDIR to its folder")
        }
        let path = folder + "/" + name
        guard Self.isZoneName(name), !isFolder(path), let bytes = readFile(path) else {
            throw PipelineError(
                exitCode: 2, "unknown time zone \"\(name)\"\(zoneHint(name, in: folder))")
        }
        do {
            return try TimeZoneRules(name: name, tzif: bytes)
        } catch {
            throw PipelineError(
                exitCode: 2, "the time zone \"\(name)\" cannot be read: \(error.description)")
        }
    }

    /// `Area/City`: words of letters, digits, `_`, `+` and `-`, so never a path to elsewhere.
    private static func isZoneName(_ name: String) -> Bool {
        name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { step in
            !step.isEmpty
                && step.utf8.allSatisfy {
                    (0x61...0x7A).contains($0 | 0x20) || (0x30...0x39).contains($0)
                        || [0x2B, 0x2D, 0x5F].contains($0)
                }
        }
    }

    private func zoneHint(_ name: String, in folder: String) -> String {
        var known: [String] = []
        func visit(_ prefix: String, depth: Int) {
            for entry in names(in: folder + "/" + prefix) {
                let path = prefix + entry
                guard Self.isZoneName(path), !["posix", "right"].contains(path) else { continue }
                if depth < 2, isFolder(folder + "/" + path) {
                    visit(path + "/", depth: depth + 1)
                } else {
                    known.append(path)
                }
            }
        }
        visit("", depth: 0)
        if let exact = known.first(where: { $0.lowercased() == name.lowercased() }) {
            return "; did you mean \"\(exact)\"?"
        }
        if let city = known.first(where: { $0.hasSuffix("/" + name) }) {
            return "; did you mean \"\(city)\"?"
        }
        let hint = suggestion(for: name, among: known)
        return hint.isEmpty ? "; zones have names such as Europe/Berlin" : hint
    }
}
