internal import Definitions
internal import Scripting
internal import Synchronization
internal import Threads

/// The first records of a version, after which it has proved itself or goes.
struct Probation: Sendable {
    enum Verdict: Sendable { case stays, passed, failed }

    let version: LoadedVersion
    let records: Int
    let errorRate: Double

    var verdict: Verdict {
        let counts = version.counts
        return Self.verdict(
            on: counts.failures, of: counts.records, until: records, errorRate: errorRate)
    }

    /// What failures among so many records mean; a batch may bring many more records than were
    /// wanted, and then it is the share that counts.
    static func verdict(
        on failures: Int, of seen: Int, until wanted: Int, errorRate: Double
    ) -> Verdict {
        if Double(failures) > errorRate * Double(max(seen, wanted)) { return .failed }
        return seen >= wanted ? .passed : .stays
    }
}

/// Which version of the rules is wanted. Threads look between two batches, and each batch is run by
/// one version from its first stage to its last.
package final class VersionBoard: Sendable {
    private let current = Atomic<Int>(0)
    private let steps: Locked<[LoadedVersion]>
    /// How many threads run rules.
    let threads: Int
    private let isOnProbation = Atomic<Bool>(false)
    private let probation = Locked<Probation?>(nil)
    private let ended = Locked<(@Sendable (Probation.Verdict, LoadedVersion) -> Void)?>(nil)

    /// Begins with the version that the run was started with, which has no spare VMs yet.
    init(_ plan: Plan, threads: Int) {
        self.threads = threads
        let boxes = (0..<threads).map { _ in MachineBox(nil) }
        steps = Locked([LoadedVersion(plan, boxes, layouts: [])])
    }

    /// The number of the step that is wanted; it only rises.
    var step: Int { current.load(ordering: .acquiring) }

    /// The version of a step.
    func version(_ step: Int) -> LoadedVersion { steps.withLock { $0[step] } }

    /// The version that is wanted.
    package var wanted: LoadedVersion { version(step) }

    /// Lets the VMs of versions go that nobody will come back to; every thread runs the last of
    /// `kept` by now.
    func prune(keeping kept: [LoadedVersion]) {
        let old = steps.withLock { steps in
            steps.filter { step in !kept.contains { $0 === step } }
        }
        for version in old { version.discard() }
    }

    /// Counts what a thread has run; a version on probation that fails too often has to go.
    func note(_ step: Int, records: Int, failures: Int) {
        guard isOnProbation.load(ordering: .relaxed), records > 0 else { return }
        let version = version(step)
        let verdict = probation.withLock { state -> Probation.Verdict in
            guard let now = state, now.version === version else { return .stays }
            version.note(records: records, failures: failures)
            let verdict = now.verdict
            if verdict != .stays { state = nil }
            return verdict
        }
        guard verdict != .stays else { return }
        isOnProbation.store(false, ordering: .relaxed)
        ended.withLock { $0 }?(verdict, version)
    }

    /// Watches a version for a while. `ended` is called once, on a thread that runs rules, with
    /// what came of it.
    func watch(
        _ version: LoadedVersion, _ settings: ReloadDefinition,
        ended: @escaping @Sendable (Probation.Verdict, LoadedVersion) -> Void
    ) {
        self.ended.withLock { $0 = ended }
        probation.withLock {
            $0 = Probation(
                version: version, records: settings.probationRecords,
                errorRate: settings.probationErrorRate)
        }
        isOnProbation.store(true, ordering: .releasing)
    }

    /// Ends the watching without a verdict.
    func stopWatching() {
        probation.withLock { $0 = nil }
        isOnProbation.store(false, ordering: .relaxed)
    }

    /// Wants another version from the next batch on.
    func want(_ version: LoadedVersion) {
        let step = steps.withLock { steps in
            steps.append(version)
            return steps.count - 1
        }
        current.store(step, ordering: .releasing)
    }
}
