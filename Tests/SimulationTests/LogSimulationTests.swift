import Journal
import TestKit
import Testing

@Suite struct LogSimulationTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `a crash at any call loses nothing acknowledged`(seed: UInt64) {
        let result = LogSimulation(seed: seed).crashEverywhere(patterns: 4)
        #expect(result.violation == nil)
        #expect(result.crashes > 300)
    }

    @Test func `the runs write into old segments`() throws {
        let counts = try (1...8 as ClosedRange<UInt64>).map {
            try LogSimulation(seed: $0).recycledCount()
        }
        #expect(counts.filter { $0 > 0 }.count >= 4, "\(counts)")
    }

    @Test func `short writes change nothing`() {
        var faults = FaultyDisk.Faults()
        faults.writeLimit = 300
        #expect(LogSimulation(seed: 21).crashEverywhere(faults, patterns: 1).violation == nil)
    }

    @Test func `a build that skips fsync is caught`() {
        var faults = FaultyDisk.Faults()
        faults.ignoresFileSync = true
        // Without it the store's own FORMAT may be torn, which recovery refuses.
        #expect(LogSimulation(seed: 22).crashEverywhere(faults, patterns: 4).violation != nil)
    }

    @Test func `a build that forgets the directory is caught`() {
        var faults = FaultyDisk.Faults()
        faults.ignoresDirectorySync = true
        #expect(isLoss(LogSimulation(seed: 23).crashEverywhere(faults, patterns: 4).violation))
    }

    @Test func `a build that acknowledges early is caught`() {
        let result = LogSimulation(seed: 24, acknowledgesEarly: true).crashEverywhere(patterns: 4)
        #expect(isLoss(result.violation))
    }

    /// True when it was caught as what it is, not by chance; and prints where.
    private func isLoss(_ violation: String?) -> Bool {
        print("control:", violation ?? "not caught")
        // The manifest may know it before anybody counts.
        return ["lost", "the segment is missing"].contains { violation?.contains($0) == true }
    }
}
