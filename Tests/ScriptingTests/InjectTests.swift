import Records
import Scripting
import Testing

/// Rows of windows on their way through the rules behind them.
@Suite struct InjectTests {
    private static let rule = """
        function process(r)
          if r.set then state:timer("t", r.set) end
        end
        function on_timer(name, at) emit({fired = at}) end
        """

    private static func machine() throws -> RuleVM {
        var options = RuleVMOptions()
        options.time = RuleTime(field: "at")
        var vm = try RuleVM(options)
        _ = vm.addStage(
            name: "windows", schema: nil, script: nil, native: nil,
            budgetNanoseconds: 1_000_000_000)
        _ = vm.addStage(
            name: "behind", schema: nil,
            script: RuleSet.File(path: "rules/behind.lua", bytes: Array(rule.utf8)), native: nil,
            budgetNanoseconds: 1_000_000_000)
        vm.connect(.stage(0, output: nil), toStage: 1)
        vm.connect(.stage(1, output: nil), toSink: 0)
        vm.setSinkCount(1)
        try vm.load()
        return vm
    }

    private static let rows: [(json: String, time: Int64, watermark: Int64)] = [
        ("{\"n\":1,\"set\":5000}", 1000, 0), ("{\"n\":2}", 4000, 3000), ("{\"n\":3}", 9000, 5000),
        ("{\"n\":4,\"set\":9500}", 9100, 8000), ("{\"n\":5}", 20_000, 19_000),
    ]

    private static func run(inBatchesOf size: Int) throws -> [String] {
        var vm = try machine()
        let output = OutputBuffer()
        for start in stride(from: 0, to: rows.count, by: size) {
            let part = rows[start..<min(start + size, rows.count)]
            let batch = Batch()
            batch.source = "windows"
            for (index, row) in part.enumerated() {
                let first = batch.bytes.count
                batch.bytes.append(contentsOf: row.json.utf8)
                batch.entries.append(
                    Batch.Entry(
                        text: first..<batch.bytes.count, original: 0..<0, problem: 0..<0,
                        position: UInt64(start + index), line: 1, originalLength: 0))
            }
            try vm.inject(
                batch, stage: 0, output: nil, times: part.map(\.time),
                watermarks: part.map(\.watermark), into: [output], rows: [])
        }
        return output.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            .split(separator: "\n").map(String.init)
    }

    @Test(arguments: [1, 2, 3, 5])
    func `timers fire between two rows, whatever the size of batches`(size: Int) throws {
        #expect(
            try Self.run(inBatchesOf: size) == [
                "{\"n\":1,\"set\":5000}", "{\"n\":2}", "{\"fired\":5000}", "{\"n\":3}",
                "{\"n\":4,\"set\":9500}", "{\"fired\":9500}", "{\"n\":5}",
            ])
    }
}
