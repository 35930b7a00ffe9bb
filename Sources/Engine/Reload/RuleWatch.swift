internal import Definitions
internal import Glibc
internal import Scripting
internal import Synchronization
internal import Threads

/// The thread that looks whether rule files have changed, and then reloads them.
///
/// It looks at names, sizes and times instead of asking the system for events, because editors
/// replace files, and events of network file systems do not come.
struct RuleWatch {
    private let run: PipelineRun
    private let folder: String

    init(_ run: PipelineRun) {
        self.run = run
        folder = run.plan.definition.folder
    }

    func main() {
        let pause = Channel<Void>(capacity: 1)
        var known = signature()
        var loaded = known
        while !run.stopRequested.load(ordering: .relaxed), !run.isEnding {
            _ = pause.receive(milliseconds: 30)
            let now = signature()
            // A file that is being written is left alone until it rests.
            defer { known = now }
            guard now == known, now != loaded else { continue }
            loaded = now
            reload()
        }
    }

    private func reload() {
        var request = ReloadRequest()
        request.by = "watch"
        guard let outcome = run.reloader?.reload(request) else { return }
        switch outcome.result {
        case .unchanged: break
        case .active:
            let shadow = outcome.shadow.map { "; " + $0.text } ?? ""
            run.options.tell("reload: \(outcome.version) is active\(shadow)\n")
        case .refused:
            let step = outcome.step.map { "refused at the step \($0): " } ?? ""
            run.options.tell("warning: reload: \(step)\(outcome.reason ?? "")\n")
        }
    }

    /// What tells one state of the files from another, without reading them.
    private func signature() -> [String: String] {
        var found: [String: String] = [:]
        let others = run.options.change == nil ? [] : ["pipeline.yaml"]
        for path in run.plan.ruleSet.files.map(\.path) + others {
            note(folder + "/" + path, &found)
        }
        for below in ["rules", "schemas"] { visit(folder + "/" + below, depth: 0, &found) }
        return found
    }

    private func visit(_ folder: String, depth: Int, _ found: inout [String: String]) {
        for name in names(in: folder) where !name.hasPrefix(".") {
            let path = folder + "/" + name
            if name.hasSuffix(".lua") || name.hasSuffix(".json") {
                note(path, &found)
            } else if depth < 8, isFolder(path) {
                visit(path, depth: depth + 1, &found)
            }
        }
    }

    private func note(_ path: String, _ found: inout [String: String]) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return }
        let time = "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        found[path] = "\(status.st_ino) \(status.st_size) \(time)"
    }
}
