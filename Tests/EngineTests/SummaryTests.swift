import Records
import Connecting
import Scripting
import Testing

@testable import Engine

@Suite struct SummaryTests {
    @Test func `a summary is one JSON object with every count by name`() {
        var summary = Summary()
        summary.name = "video \"x\""
        summary.ruleSet = "0123456789ab"
        summary.read = 10
        summary.files = FileCounts(read: 3, failed: ["in/a.csv: permission denied"])
        summary.delivered = [("shape", 7), ("shape.side", 2), ("dead_letters", 1)]
        summary.counts.extra = 2
        summary.counts.deadLetters = 1
        summary.counts.deadByStage = ["shape": 1]
        summary.counts.dropped = ["queued": 2, "late\n": 0]
        summary.counts.metrics = ["cost": 1.25, "seen": 3]
        summary.counts.stateKeys = 4
        summary.counts.stateBytes = 512
        summary.windows.late = ["per_user": 5]
        summary.windows.taken = ["per_user": 30]
        summary.windows.rows = ["per_user": 4]
        summary.windows.keys = 3
        summary.windows.bytes = 100
        summary.seconds = 1.23456
        summary.cpuSeconds = 0.5
        summary.peakMemoryBytes = 1 << 20
        #expect(
            summary.json
                == #"{"name":"video \"x\"","rule_set":"0123456789ab","read":10,"#
                + #""files":{"read":3,"failed":1},"emitted":2,"#
                + #""delivered":{"shape":7,"shape.side":2,"dead_letters":1},"#
                + #""dropped":{"late\n":0,"queued":2},"dead_letters":1,"#
                + #""dead_letters_by_stage":{"shape":1},"late":5,"#
                + #""late_by_stage":{"per_user":5},"late_after_close":0,"#
                + #""aggregated":{"per_user":30},"#
                + #""window_rows":{"per_user":4},"metrics":{"cost":1.25,"seen":3},"#
                + #""state_keys":7,"state_bytes":612,"seconds":1.235,"cpu_seconds":0.5,"#
                + #""peak_memory_bytes":1048576}"#)
    }

    @Test func `counts of several workers are added by name`() {
        var total = RuleCounts()
        for worker in 1...3 {
            var counts = RuleCounts()
            counts.read = worker
            counts.deadLetters = 1
            counts.dropped = ["old": worker, "worker \(worker)": 1]
            counts.metrics = ["cost": 0.5]
            total.add(counts)
        }
        #expect(total.read == 6)
        #expect(total.deadLetters == 3)
        #expect(total.dropped == ["old": 6, "worker 1": 1, "worker 2": 1, "worker 3": 1])
        #expect(total.metrics == ["cost": 1.5])
    }

    @Test func `the system's figures are there`() {
        var summary = Summary()
        summary.addUsage()
        #expect(summary.cpuSeconds > 0)
        #expect(summary.peakMemoryBytes > 1 << 20)
    }
}
