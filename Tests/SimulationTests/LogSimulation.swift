import Journal
import TestKit

/// An owner that appends transactions of several entries to a log on a faulty disk, and the laws
/// that must hold after any crash.
struct LogSimulation {
    static let settings = LogSettings(segmentSize: 4096, prewriteSize: 1024)
    static let transactionCount = 40

    /// What the owner was told before the crash.
    struct Outcome {
        var acknowledged: UInt64 = 0
        var appended: UInt64 = 0
        var isFinished = false
    }

    var seed: UInt64
    var acknowledgesEarly = false

    /// The entries of a transaction, the same for the same seed.
    func entries(of sequence: UInt64) -> [[UInt8]] {
        var random = SeededRandom(seed: seed &* 1_000_003 &+ sequence)
        let size = Int.random(in: 0..<8, using: &random) == 0 ? 2000 : 200
        return (0..<Int.random(in: 1...4, using: &random)).map { _ in
            (0..<Int.random(in: 0...size, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
        }
    }

    /// Opens the store, appends what is missing, syncs now and then.
    func run(on disk: FaultyDisk) -> Outcome {
        var outcome = Outcome()
        var random = SeededRandom(seed: seed)
        do {
            var log = try OpenedLog(
                "store", on: disk, settings: Self.settings, random: &random
            ) { (_) throws(JournalError) in }
            outcome.appended = log.writer.appendedSequence
            outcome.acknowledged = log.writer.durableSequence
            var frame = Frame()
            while outcome.appended < UInt64(Self.transactionCount) {
                frame.removeAll()
                for entry in entries(of: outcome.appended + 1) { frame.add(kind: 1, entry) }
                outcome.appended = try log.writer.append(frame).sequence
                if acknowledgesEarly { outcome.acknowledged = outcome.appended }
                switch Int.random(in: 0..<5, using: &random) {
                case 0: try log.writer.flush()
                case 4:
                    let state = Array("state of \(outcome.appended)".utf8)
                    try log.writer.snapshot { (writer) throws(JournalError) in
                        try writer.write(state.span.bytes)
                    }
                    _ = try log.writer.freeSegments(live: [])
                case 1, 2:
                    try log.writer.sync()
                    outcome.acknowledged = max(outcome.acknowledged, log.writer.durableSequence)
                    try log.writer.mark()
                default: break
                }
            }
            try log.writer.sync()
            outcome.acknowledged = log.writer.durableSequence
            outcome.isFinished = true
        } catch {
            // The crash; what was told before it stays told.
        }
        return outcome
    }

    /// What a start finds: the number of transactions and the bytes cut off.
    func recover(_ disk: FaultyDisk) throws -> (count: UInt64, truncated: Int, problem: String?) {
        var random = SeededRandom(seed: seed)
        var count: UInt64 = 0
        var problem: String?
        var state: [UInt8] = []
        let log = try OpenedLog(
            "store", on: disk, settings: Self.settings, random: &random,
            restore: { (bytes) throws(JournalError) in
                state += bytes.withUnsafeBytes { Array($0) }
                count = UInt64(String(decoding: state, as: UTF8.self).dropFirst(9)) ?? 9999
            }
        ) { (frame) throws(JournalError) in
            count += 1
            var found: [[UInt8]] = []
            frame.forEachEntry { _, bytes, _ in
                found.append(bytes.withUnsafeBytes { Array($0) })
            }
            if frame.sequence != count { problem = "order: \(frame.sequence) at \(count)" }
            if found != entries(of: frame.sequence) { problem = "bytes of \(frame.sequence)" }
        }
        return (count, log.truncatedBytes, problem)
    }

    /// The law that is broken after a crash, or nil. Crashes again at every call of recovery.
    func violation(_ outcome: Outcome, _ crashed: FaultyDisk) -> String? {
        do {
            let disk = crashed.afterProcessDeath()
            let first = try recover(disk)
            if let problem = first.problem { return problem }
            if first.count < outcome.acknowledged {
                return "lost: \(outcome.acknowledged) acknowledged, \(first.count) found"
            }
            if first.count > outcome.appended { return "more than was appended" }
            let second = try recover(disk.afterProcessDeath())
            if second.count != first.count || second.truncated != 0 { return "not idempotent" }
            var random = SeededRandom(seed: seed)
            for call in 0..<disk.callCount {
                var faults = FaultyDisk.Faults()
                faults.powerCutAtCall = call
                let again = crashed.afterProcessDeath(faults: faults)
                _ = try? recover(again)
                let last = try recover(again.afterPowerCut(&random))
                if let problem = last.problem { return "after a crash in recovery: \(problem)" }
                if last.count < outcome.acknowledged { return "lost by a crash in recovery" }
            }
            return nil
        } catch { return "refused: \(error)" }
    }

    /// How many segments of a run were written into files that were segments before.
    func recycledCount() throws -> Int {
        let disk = FaultyDisk()
        guard run(on: disk).isFinished else { return 0 }
        return try disk.names(in: "store/journal").filter { name in
            guard name.hasSuffix(".seg"), let bytes = disk.bytes("store/journal/" + name)
            else { return false }
            return bytes[40] & 1 == 1
        }.count
    }

    /// Crashes at every call, with some patterns of lost sectors each; the first broken law.
    func crashEverywhere(
        _ faults: FaultyDisk.Faults = FaultyDisk.Faults(), patterns: Int
    ) -> (crashes: Int, violation: String?) {
        let whole = FaultyDisk(faults)
        _ = run(on: whole)
        var crashes = 0
        for call in 0...whole.callCount {
            var cut = faults
            cut.powerCutAtCall = call
            let disk = FaultyDisk(cut)
            let outcome = run(on: disk)
            for pattern in 0..<patterns {
                var random = SeededRandom(seed: seed &+ UInt64(call * 1000 + pattern))
                crashes += 1
                if let violation = violation(outcome, disk.afterPowerCut(&random)) {
                    return (crashes, "seed \(seed), call \(call), pattern \(pattern): \(violation)")
                }
            }
            crashes += 1
            if let violation = violation(outcome, disk.afterProcessDeath()) {
                return (crashes, "seed \(seed), call \(call), process death: \(violation)")
            }
        }
        return (crashes, nil)
    }
}
