import Journal
import TestKit
import Testing

@Suite struct QueueSimulationTests {
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `a crash at any call keeps every law of the queues`(seed: UInt64) {
        let result = QueueSimulation(seed: seed).crashEverywhere(patterns: 2)
        #expect(result.violation == nil)
        #expect(result.crashes > 200)
    }

    @Test func `a build that skips fsync is caught`() {
        var faults = FaultyDisk.Faults()
        faults.ignoresFileSync = true
        let result = QueueSimulation(seed: 31).crashEverywhere(faults, patterns: 4)
        print("control:", result.violation ?? "not caught")
        #expect(result.violation != nil)
    }

    @Test func `a build that acknowledges before it appends is caught`() {
        let simulation = QueueSimulation(seed: 32, acknowledgesEarly: true)
        let result = simulation.crashEverywhere(patterns: 4)
        print("control:", result.violation ?? "not caught")
        // One message of a transaction that was told, or the whole transaction.
        #expect(
            ["lost", "published 0 of"].contains { result.violation?.contains($0) == true })
    }
}
