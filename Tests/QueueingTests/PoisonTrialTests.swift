import TestKit
import Testing

@testable import Queueing

/// Messages, a process that takes them in batches, and whatever kills it; no store, no disk.
struct TrialRun {
    enum State: Hashable { case ready, underWay, done, dead }

    var random: SeededRandom
    var trial = PoisonTrial()
    /// By number; there is no message 0.
    var states: [State]
    /// Until when those wait that came back from a death.
    var readyAt: [Int64]
    var underWay: [UInt64] = []
    var poison: Set<UInt64> = []
    var maxDeaths = 3
    var batch: Int
    var now: Int64 = 1_000_000
    var deaths = 0
    /// The deaths in a row at which a message was alone, as nobody but the test sees them.
    var alone: [UInt64: [Int64]] = [:]
    /// The first law that was broken.
    var violation: String?

    init(_ count: Int, poison: Set<UInt64> = [], batch: Int, seed: UInt64 = 1) {
        random = SeededRandom(seed: seed)
        self.poison = poison
        self.batch = batch
        states = [.done] + [State](repeating: .ready, count: count)
        readyAt = [Int64](repeating: 0, count: count + 1)
    }

    var isFinished: Bool { underWay.isEmpty && !states.contains(.ready) }
    var dead: Set<UInt64> { Set(states.indices.filter { states[$0] == .dead }.map(UInt64.init)) }

    private func isReady(_ number: UInt64) -> Bool {
        states[Int(number)] == .ready && readyAt[Int(number)] <= now
    }

    /// Those that are no suspects, up to a batch.
    private var others: [UInt64] {
        var found: [UInt64] = []
        for number in 1..<UInt64(states.count) where isReady(number) {
            if found.count == batch { break }
            if trial.suspects[number] == nil { found.append(number) }
        }
        return found
    }

    /// Takes what may be taken, up to a batch.
    mutating func take() {
        var chosen: [UInt64] = []
        if trial.isEmpty {
            chosen = others
        } else {
            var asked = trial
            let permission = asked.permission(at: now, leases: underWay.count, isReady: isReady)
            trial = asked
            switch permission {
            case .nothing: break
            case .others: chosen = others
            case .suspects(let group):
                if underWay.contains(where: { trial.suspects[$0] == nil }) {
                    violation = violation ?? "suspects beside others"
                }
                chosen = group
            }
        }
        for number in chosen.prefix(batch) {
            states[Int(number)] = .underWay
            underWay.append(number)
            if trial.suspects[number] != nil { trial.begin(number) }
        }
    }

    /// Comes to the end of some of what is under way; nothing when one of them kills the process.
    mutating func work() {
        guard poison.isDisjoint(with: underWay) else { return die() }
        for number in underWay where Int.random(in: 0..<3, using: &random) > 0 {
            settle(number)
        }
    }

    private mutating func settle(_ number: UInt64) {
        if trial.suspects[number] != nil { trial.end() }
        trial.clear(number)
        states[Int(number)] = .done
        underWay.removeAll { $0 == number }
        alone[number] = nil
    }

    mutating func die() {
        deaths += 1
        let lost = underWay
        underWay = []
        for number in lost where trial.suspects[number] != nil { trial.end() }
        if lost.count == 1 { alone[lost[0], default: []].append(now) }
        let limit = maxDeaths
        for finding in trial.death(of: lost, maxDeaths: { _ in limit }) {
            if finding.isPoison {
                check(finding.number)
                trial.clear(finding.number)
                states[Int(finding.number)] = .dead
            } else {
                trial.set(finding.number, finding.suspect)
                states[Int(finding.number)] = .ready
                readyAt[Int(finding.number)] = now + finding.wait
            }
        }
        if lost.count > 1 {
            let next = trial.suspects.filter { lost.contains($0.key) }
            for group in Set(next.values.map(\.group)) {
                let size = next.values.count { $0.group == group }
                if size > (lost.count + 1) / 2 { violation = violation ?? "a group of \(size)" }
            }
        }
    }

    /// Whoever is called poison was alone, often enough in a row, and for more than a minute.
    private mutating func check(_ number: UInt64) {
        let times = alone[number] ?? []
        if times.count < maxDeaths {
            violation = violation ?? "\(number) is dead after \(times.count) deaths alone"
        } else if maxDeaths > 1, let first = times.first, now - first < 60_000 {
            violation = violation ?? "\(number) is dead within a minute"
        }
    }

    /// Goes on until nothing is left; deaths come from poison alone.
    mutating func finish() {
        var steps = 0
        while !isFinished, steps < 100_000 {
            steps += 1
            now += Int64.random(in: 1...2_000, using: &random)
            take()
            work()
        }
        if !isFinished { violation = violation ?? "some messages never came" }
    }
}

@Suite struct PoisonTrialTests {
    @Test(arguments: [1, 2, 3, 7])
    func `one poison among a thousand is found after log2 deaths and those that prove it`(
        maxDeaths: Int
    ) {
        for poison in [1, 2, 500, 501, 777, 1000] as [UInt64] {
            var run = TrialRun(1000, poison: [poison], batch: 1000, seed: poison)
            run.maxDeaths = maxDeaths
            run.finish()
            #expect(run.violation == nil, "\(run.random)")
            #expect(run.dead == [poison])
            #expect(run.deaths <= 10 + maxDeaths)
        }
    }

    @Test func `several poisons are found, each of them once`() {
        for seed in 1...40 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            let poison = Set((0..<4).map { _ in UInt64.random(in: 1...500, using: &random) })
            let batch = Int.random(in: 1...500, using: &random)
            var run = TrialRun(500, poison: poison, batch: batch, seed: seed)
            run.finish()
            #expect(run.violation == nil, "\(run.random)")
            #expect(run.dead == poison)
            #expect(run.deaths <= 4 * (9 + 3))
        }
    }

    @Test func `ten killings in a minute make no message poison, in a thousand runs`() {
        var deaths = 0
        for seed in 1...1000 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            let count = Int.random(in: 1...60, using: &random)
            let victim = UInt64.random(in: 1...60, using: &random)
            let poison: Set<UInt64> = seed % 3 == 0 ? [victim] : []
            var run = TrialRun(
                count, poison: poison, batch: Int.random(in: 1...count, using: &random), seed: seed)
            run.maxDeaths = Int.random(in: 2...4, using: &random)
            for _ in 0..<3 {
                let end = run.now + 60_000
                for _ in 0..<10 {
                    run.take()
                    if Bool.random(using: &random) { run.work() }
                    run.take()
                    run.die()
                    run.now += Int64.random(in: 1...5_900, using: &random)
                }
                #expect(run.now < end)
                // A deployment ends, and what it left is worked on before the next one.
                var steps = 0
                while !run.trial.isEmpty, steps < 10_000 {
                    steps += 1
                    run.now += Int64.random(in: 1...2_000, using: &random)
                    run.take()
                    run.work()
                }
            }
            run.finish()
            deaths += run.deaths
            #expect(run.violation == nil, "\(run.random)")
            #expect(run.dead == poison.filter { $0 <= UInt64(count) }, "\(run.random)")
        }
        #expect(deaths > 30_000)
    }

    @Test func `nobody is called poison who was not alone, whenever the process is killed`() {
        for seed in 1...300 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var run = TrialRun(40, batch: Int.random(in: 1...40, using: &random), seed: seed)
            for _ in 0..<400 {
                run.now += Int64.random(in: 1...9_000, using: &random)
                run.take()
                if Int.random(in: 0..<3, using: &random) == 0 { run.die() } else { run.work() }
            }
            #expect(run.violation == nil, "\(run.random)")
        }
    }

    @Test func `others wait for a group, but not for ever`() {
        var trial = PoisonTrial()
        for finding in trial.death(of: [1, 2, 3], maxDeaths: { _ in 3 }) {
            trial.set(finding.number, finding.suspect)
        }
        #expect(trial.suspects.values.map(\.group).sorted() == [1, 1, 2])
        // While others are under way the group is not alone: all wait, for ten seconds.
        #expect(trial.permission(at: 1_000, leases: 1, isReady: { _ in true }) == .nothing)
        #expect(trial.permission(at: 1_000, leases: 1, isReady: { _ in false }) == .nothing)
        #expect(
            trial.permission(at: 1_000, leases: 1, mayWait: false, isReady: { _ in true })
                == .others)
        #expect(trial.permission(at: 11_000, leases: 1, isReady: { _ in true }) == .others)
        #expect(trial.permission(at: 70_999, leases: 1, isReady: { _ in true }) == .others)
        // The next time it is twice as long.
        #expect(trial.permission(at: 71_000, leases: 1, isReady: { _ in true }) == .nothing)
        #expect(trial.permission(at: 90_999, leases: 1, isReady: { _ in false }) == .nothing)
        #expect(
            trial.permission(at: 91_000, leases: 0, isReady: { _ in true }) == .suspects([1, 2]))
        trial.begin(1)
        #expect(trial.permission(at: 91_000, leases: 1, isReady: { $0 > 1 }) == .suspects([2]))
        trial.begin(2)
        #expect(trial.permission(at: 91_000, leases: 2, isReady: { $0 > 2 }) == .nothing)
        #expect(trial.permission(at: 691_000, leases: 2, isReady: { $0 > 2 }) == .others)
        trial.end()
        trial.end()
        trial.clear(1)
        trial.clear(2)
        #expect(trial.permission(at: 92_000, leases: 0, isReady: { $0 > 2 }) == .suspects([3]))
    }

    @Test func `a death that others may have caused does not count`() throws {
        var trial = PoisonTrial()
        let first = try #require(trial.death(of: [1], knowsAll: false, maxDeaths: { _ in 1 }).first)
        #expect(!first.isPoison && !first.wasAlone && first.suspect.deaths == 0)
        #expect(first.wait == PoisonTrial.lastWait)
        trial.set(1, first.suspect)
        // Now it is a suspect, which is handed over alone.
        #expect(trial.death(of: [1], knowsAll: false, maxDeaths: { _ in 1 })[0].isPoison)
    }
}
