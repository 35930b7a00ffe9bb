import Foundation
import Records
import TestKit
import Testing

/// Instructions per record, counted by callgrind: repeatable whatever else the machine does, since
/// neither slices nor commits end by time.
@Suite struct InstructionTests {
    /// What a run of a benchmark pipeline over `records` generated events costs.
    private func count(_ workload: String, records: Int, _ folder: TemporaryFolder) throws -> Int {
        let states = ["completed", "failed", "queued"]
        let tiers = ["free", "basic", "pro", "enterprise"]
        let lines = (0..<records).map { i in
            "{\"video_id\":\"vid_\(1_000_000 + i)\",\"user_id\":\"user_\(100 + i % 97)\",\"processing_time\":\(i % 50).\(125 + i % 7),"
                + "\"status\":\"\(states[i % 3])\",\"created_at\":\"2025-01-01T00:00:00.000Z\",\"region\":\"eu-west-1\","
                + "\"tier\":\"\(tiers[i % 4])\",\"size_bytes\":\(1_000_000 + i),\"codec\":\"av1\",\"meta\":{\"source\":\"api\",\"attempt\":1}}\n"
        }
        folder.write(lines.joined(), to: "in.jsonl")
        // Valgrind of Debian 12 cannot read the compiler's newer debug information.
        let stripped = try Tool.run(
            "-g", "-o", folder("tidewheel"), Tool.binary, executable: "/usr/bin/strip")
        #expect(stripped.status == 0, "\(stripped.errors)")
        try copy(workload, to: folder)
        let run = try Tool.run(
            "--tool=callgrind", "--callgrind-out-file=" + folder("callgrind"), folder("tidewheel"),
            "run", folder(workload), "--once", "--fresh", "--overwrite",
            environment: [
                "INPUT": folder("in.jsonl"), "OUTPUT": folder("out.jsonl"),
                "INVALID": folder("bad.jsonl"),
                "SWIFT_DETERMINISTIC_HASHING": "1",
            ], executable: "/usr/bin/valgrind")
        let total = run.errors.split(separator: "\n").first { $0.contains("Collected :") }
        return try #require(
            total.flatMap { Int($0.split(separator: " ").last ?? "") }, "\(run.errors)")
    }

    /// The pipeline of a benchmark, with slices and commits that end by size alone.
    private func copy(_ workload: String, to folder: TemporaryFolder) throws {
        guard !FileManager.default.fileExists(atPath: folder(workload)) else { return }
        try FileManager.default.copyItem(
            atPath: Tool.root + "/examples/benchmarks/" + workload, toPath: folder(workload))
        let pipeline = workload + "/pipeline.yaml"
        folder.write(
            folder.text(pipeline) + "\nlimits: {slice: 1h}\ncommit: {every: 1h}\n", to: pipeline)
    }

    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["TIDEWHEEL_BINARY"] != nil),
        .disabled(if: ProcessInfo.processInfo.environment["TIDEWHEEL_SANITIZER"] != nil),
        arguments: ["copy", "transform", "window", "validate"])
    func `a record costs no more instructions than it did`(workload: String) throws {
        let folder = TemporaryFolder()
        let small = try count(workload, records: 4000, folder)
        let large = try count(workload, records: 12000, folder)
        let perRecord = Double(large - small) / 8000
        let path = Tool.root + "/Tests/EndToEndTests/instructions.json"
        var limits = try Record(
            json: try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(
                in: .whitespacesAndNewlines))
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            limits[workload] = .integer(Int64(perRecord))
            try (limits.description + "\n").write(toFile: path, atomically: true, encoding: .utf8)
        }
        guard case .integer(let limit) = limits[workload] else {
            Issue.record("no limit for \(workload)")
            return
        }
        // Machines differ by a per cent: libraries choose other routines for other processors.
        let most = Double(limit) * (workload == "window" ? 1.05 : 1.02)
        #expect(
            perRecord <= most,
            "\(workload): \(perRecord) instructions, \(limit) before")
    }
}
