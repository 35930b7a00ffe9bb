internal import Connecting
internal import Definitions
internal import Glibc
internal import Scripting

/// The versions of the rules that a restart does not load although they are on disk, because they
/// were refused or rolled back. They stand in a small file of the store, so that a start knows at
/// once whether it has to wait for the store to say what was active.
struct HeldRules: Sendable {
    private let path: String?
    private(set) var versions: Set<String> = []

    /// Reads them; a run that keeps nothing holds nothing.
    init(data: String?) {
        path = data.map { $0 + "/held-rules" }
        guard let path, let bytes = readFile(path) else { return }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        versions = Set(lines.map(String.init))
    }

    /// A version is not to be loaded by a restart.
    mutating func hold(_ version: String) {
        if versions.insert(version).inserted { write() }
    }

    /// A version is active.
    mutating func release(_ version: String) {
        if versions.remove(version) != nil { write() }
    }

    /// Replaces the file as a whole. When that fails, a restart loads what is on disk.
    private func write() {
        guard let path else { return }
        let fresh = path + ".tmp"
        let text = Array(versions.sorted().map { $0 + "\n" }.joined().utf8)
        let file = unsafe open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        let count = unsafe text.withUnsafeBytes {
            unsafe Glibc.write(file, $0.baseAddress, $0.count)
        }
        fsync(file)
        close(file)
        if count == text.count { _ = unsafe rename(fresh, path) }
    }
}

extension Plan {
    /// True when a restart does not load these rules.
    func isHeld(_ options: RunOptions) -> Bool {
        !options.loadsDisk && HeldRules(data: options.data).versions.contains(ruleSet.version)
    }

    /// The rules to begin with: those that were active when the ones on disk were refused or rolled
    /// back before.
    func asHeld(
        by opening: StoreOpening?, _ options: RunOptions
    ) throws(PipelineError) -> Plan {
        let name = ruleSet.version
        guard let opening, isHeld(options) else { return self }
        let versions = try opening.get().state.versions
        guard let active = versions.active, active != name, let kept = versions.kept[active],
            let plan = try? Plan(definition, files: kept.files)
        else { return self }
        options.tell(
            "warning: the rules on disk, \(name), were refused or rolled back; \(active) runs on; "
                + "`tidewheel reload` or `run --load-disk` takes those on disk\n")
        return plan
    }
}
