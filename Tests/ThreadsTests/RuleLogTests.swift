import Synchronization
import Testing
import Threads

@Suite struct RuleLogTests {
    @Test func `rules that log too much are cut short, and told how many lines are missing`() {
        let second = Atomic<Int>(0)
        let lines = Locked<[String]>([])
        let log = RuleLog(
            clock: { second.load(ordering: .relaxed) },
            output: { line in lines.withLock { $0.append(line) } })
        for number in 0..<130 { log.write(stage: "shape", "n \(number)") }
        #expect(lines.withLock { $0.count } == 100)
        #expect(lines.withLock { $0.first } == "shape: n 0\n")
        second.store(86_400, ordering: .relaxed)
        for number in 0..<105 { log.write(stage: "shape", "m \(number)") }
        #expect(lines.withLock { $0.count } == 201)
        #expect(
            lines.withLock { Array($0[100...101]) }
                == ["… 30 more lines suppressed\n", "shape: m 0\n"])
        log.finish()
        log.finish()
        #expect(lines.withLock { Array($0[201...]) } == ["… 5 more lines suppressed\n"])
    }
}
