import Definitions
import Queueing
import TestKit
import Testing
import Threads

@testable import Engine

/// Commits in memory; they are kept as long as somebody has the disk.
final class MemoryCommitLog: CommitLog, @unchecked Sendable {  // Used by one thread at a time.
    final class Disk: Sendable {
        let frames = Locked<[[(StoreEntry.Kind, [UInt8])]]>([])
    }

    let state = PipelineState()
    let isSynced = true
    private let disk: Disk
    /// Asked before each commit; what it throws is why the commit is refused.
    private let refusal: @Sendable (Int) -> QueueError?
    private(set) var isClosed = false

    init(_ disk: Disk, refusal: @escaping @Sendable (Int) -> QueueError? = { _ in nil }) {
        self.disk = disk
        self.refusal = refusal
        for (kind, bytes) in disk.frames.withLock({ $0 }).joined() {
            state.apply(kind.rawValue, bytes.span.bytes)
        }
    }

    func commit(_ draft: CommitDraft) throws(QueueError) {
        let count = disk.frames.withLock { $0.count }
        if let error = refusal(count) { throw error }
        let entries = draft.entries
        disk.frames.withLock { $0.append(entries) }
        for (kind, bytes) in entries { state.apply(kind.rawValue, bytes.span.bytes) }
    }

    func makeSnapshots(every nanoseconds: Int64) -> SnapshotKeeper? { nil }
    func close() { isClosed = true }
}

/// What every commit log has to hold: after any commit, another run finds exactly what was
/// committed, and what a failed one held is nowhere.
struct CommitLogSuite {
    /// True when the log is let go by `close` alone, not by a kill that a test could play.
    var closes = false
    /// Opens the log over what is kept; nobody has the one before any more.
    var open: () throws -> any CommitLog

    func violations(seed: UInt64) throws -> [String] {
        var random = SeededRandom(seed: seed)
        var found: [String] = []
        var model = Model()
        for round in 0..<12 {
            // Whoever opens it next finds it free: nobody has it any more.
            let log = try open()
            found += model.differences(log.state, "opened in round \(round)")
            for step in 0..<Int.random(in: 1...6, using: &random) {
                let draft = model.draft(&random)
                try log.commit(draft)
                // Every entry says what is, so that the same commit twice does no harm.
                if Int.random(in: 0..<4, using: &random) == 0 { try log.commit(draft) }
                found += model.differences(log.state, "round \(round), step \(step)")
            }
            if closes || Bool.random(using: &random) { try log.close() }
        }
        return found
    }

    /// What is committed, as dictionaries.
    private struct Model {
        var positions: [String: [String: [UInt8]]] = [:]
        var windows: [String: [UInt8]] = [:]
        var times = CommittedTimes()
        var outbox = OutboxState()

        mutating func draft(_ random: inout SeededRandom) -> CommitDraft {
            var draft = CommitDraft()
            func number(_ below: Int) -> Int { Int.random(in: 0..<below, using: &random) }
            for _ in 0..<number(3) {
                let (owner, name) = ("source \(number(2))", "part \(number(3))")
                let place = Array("\(number(1000))".utf8)
                draft.addPosition(owner, name, place)
                positions[owner, default: [:]][name] = place
            }
            var bytes: [UInt8] = []
            StoreEntry.add(Array("stage".utf8), [], to: &bytes)
            for _ in 0..<number(6) {
                let key = "key \(number(20))"
                let value = number(3) == 0 ? nil : Array("\(number(1000))".utf8)
                StoreEntry.add(Array(key.utf8), value, to: &bytes)
                windows[key] = value
            }
            draft.windows.append(bytes)
            if number(2) == 0 {
                times.newest["source"] = Int64(number(1000))
                times.watermark = Int64(number(1000))
                draft.times = times
            }
            if number(2) == 0 {
                let chunk = OutboxChunk(
                    pipeline: "p", sink: "s", first: outbox.next, count: 2,
                    rows: Array("{}\n{}\n".utf8))
                draft.outbox.append(chunk)
                outbox.add(chunk)
            }
            if number(3) == 0, let first = outbox.chunks.first {
                draft.delivered.append(("s", first.end))
                outbox.note(deliveredBefore: first.end)
            }
            return draft
        }

        func differences(_ state: PipelineState, _ what: String) -> [String] {
            var found: [String] = []
            var windows: [String: [UInt8]] = [:]
            state.forEachWindow(of: "stage") { windows[String(decoding: $0, as: UTF8.self)] = $1 }
            if windows != self.windows { found.append("\(what): windows differ") }
            if state.positions != positions { found.append("\(what): \(state.positions)") }
            if state.times.newest != times.newest || state.times.watermark != times.watermark {
                found.append("\(what): \(state.times), not \(times)")
            }
            if state.outbox.sinks["s"] ?? OutboxState() != outbox {
                found.append("\(what): \(state.outbox), not \(outbox)")
            }
            return found
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct CommitLogTests {
    @Test(arguments: 1...5) func `commits in memory`(seed: UInt64) throws {
        let disk = MemoryCommitLog.Disk()
        let found = try CommitLogSuite { MemoryCommitLog(disk) }.violations(seed: seed)
        #expect(found.isEmpty, "\(found.prefix(3))")
    }

    @Test(arguments: 1...5) func `commits in a store`(seed: UInt64) throws {
        let folder = TemporaryFolder()
        let definition = Definition(folder: folder.path)
        let scripts = QueueScripts(try Plan(definition))
        let found = try CommitLogSuite(closes: true) {
            try StoreOpening.open(folder("data"), definition, scripts).get()
        }.violations(seed: seed)
        #expect(found.isEmpty, "\(found.prefix(3))")
    }

    @Test func `a log that forgets is found out`() throws {
        let kept = MemoryCommitLog.Disk()
        let found = try CommitLogSuite {
            kept.frames.withLock { _ = $0.popLast() }
            return MemoryCommitLog(kept)
        }.violations(seed: 1)
        #expect(!found.isEmpty)
    }

    /// A committer at work on a log in memory.
    private func committer(
        _ log: MemoryCommitLog, fail: @escaping @Sendable (PipelineError) -> Void
    ) -> (committer: Committer, ended: Channel<Void>) {
        let committer = Committer(checkpointNanoseconds: 0) { () throws(PipelineError) in log }
        let ended = Channel<Void>(capacity: 1)
        WorkerThread {
            committer.main(fail: fail)
            ended.close()
        }.detach()
        return (committer, ended)
    }

    @Test func `whoever waits for a commit hears of it in order, once it is kept`() throws {
        let log = MemoryCommitLog(MemoryCommitLog.Disk())
        let heard = Locked<[String]>([])
        let (committer, ended) = committer(log) { error in
            heard.withLock { $0.append("\(error)") }
        }
        committer.atEnd.withLock { $0 = { heard.withLock { $0.append("end \(log.isClosed)") } } }
        for number in 0..<20 {
            var draft = CommitDraft()
            draft.addPosition("source", "part", Array("\(number)".utf8))
            draft.syncers.append { heard.withLock { $0.append("synced \(number)") } }
            draft.whenKept.append {
                let place = log.state.positions["source"]?["part"] ?? []
                let text = String(decoding: place, as: UTF8.self)
                heard.withLock { $0.append("kept \(text)") }
            }
            committer.submit(draft)
        }
        committer.wait()
        committer.close()
        _ = ended.receive()
        #expect(
            heard.withLock { $0 }
                == (0..<20).flatMap { ["synced \($0)", "kept \($0)"] } + ["end false"])
        #expect(committer.count == 20 && log.isClosed)
    }

    @Test func `behind a commit that fails none is made, and nobody is told`() throws {
        let disk = MemoryCommitLog.Disk()
        let log = MemoryCommitLog(disk) { $0 == 2 ? QueueError(.other, "the disk is gone") : nil }
        let heard = Locked<[String]>([])
        let (committer, ended) = committer(log) { error in
            heard.withLock { $0.append("\(error)") }
        }
        for number in 0..<5 {
            var draft = CommitDraft()
            draft.whenKept.append { heard.withLock { $0.append("kept \(number)") } }
            committer.submitAndWait(draft)
        }
        committer.close()
        _ = ended.receive()
        let all = heard.withLock { $0 }
        #expect(all.count == 3 && all[..<2] == ["kept 0", "kept 1"], "\(all)")
        #expect(all.last?.contains("the disk is gone") == true)
        #expect(committer.count == 2 && disk.frames.withLock { $0.count } == 2)
        #expect(log.isClosed)
    }

    @Test func `a commit waits for room in a queue, unless the run is being stopped`() throws {
        let disk = MemoryCommitLog.Disk()
        let tries = Counter()
        let log = MemoryCommitLog(disk) { _ in
            tries.add() < 4 ? QueueError(.full, "no room") : nil
        }
        let failed = Counter()
        let (committer, ended) = committer(log) { _ in failed.add() }
        committer.submitAndWait(CommitDraft())
        #expect(tries.value == 4 && failed.value == 0 && committer.count == 1)
        committer.close()
        _ = ended.receive()
        let full = MemoryCommitLog(disk) { _ in QueueError(.full, "no room") }
        let (stopping, over) = self.committer(full) { _ in failed.add() }
        stopping.giveUpWaiting()
        stopping.submitAndWait(CommitDraft())
        stopping.close()
        _ = over.receive()
        #expect(failed.value == 1 && stopping.count == 0)
    }
}
