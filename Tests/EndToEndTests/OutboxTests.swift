import Foundation
import Records
import TestKit
import Testing

/// Standard output with an outbox, as whoever reads it sees it: over kills, restarts and pauses.
@Suite(.timeLimit(.minutes(30))) struct OutboxTests {
    private static let pipeline = """
        name: calls
        source: {file: {path: "in/*.jsonl"}}
        key: user
        commit: {every: 5ms, records: 100}
        stages: [{name: shape, transform: rules/shape.lua}]
        sinks: [{from: shape, stdout: {outbox: true, key_field: key}}]
        """
    /// `at` is another one in each process: the same key with other bytes would show a row that was
    /// handed over before its commit was kept.
    private static let rule = """
        function process(r)
          r.seen = state:incr("seen." .. r.user)
          r.at = now()
          if r.seen % 50 == 0 then emit({user = r.user, copy = r.i, at = r.at}) end
        end
        """
    private static let records = 4200

    private static func fill(_ folder: TemporaryFolder, _ random: inout SeededRandom) {
        folder.write(pipeline, to: "pipeline.yaml")
        folder.write(rule, to: "rules/shape.lua")
        for file in 0..<3 {
            let lines = (0..<(records / 3)).map { line in
                let user = Int.random(in: 0..<40, using: &random)
                let pad = String(repeating: "x", count: Int.random(in: 0..<400, using: &random))
                return "{\"user\":\"u\(user)\",\"i\":\(file * records + line),\"pad\":\"\(pad)\"}\n"
            }
            folder.write(lines.joined(), to: "in/\(file).jsonl")
        }
    }

    /// Runs to the end, killing the process again and again on the way; what each has written.
    private static func runWithKills(
        _ folder: TemporaryFolder, workers: Int, _ random: inout SeededRandom
    ) throws -> (outputs: [String], kills: Int) {
        var outputs: [String] = []
        var kills = 0
        while true {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Tool.binary)
            process.arguments = ["run", folder.path, "--once", "--workers", "\(workers)"]
            process.standardError = FileHandle.nullDevice
            let pipe = Pipe()
            process.standardOutput = pipe
            let size = Int.random(in: 1..<200_000, using: &random)
            let deadline = Date() + Double.random(in: 0.01..<0.4, using: &random)
            try process.run()
            var isKilled = kills >= 10
            let output = Self.read(pipe) { count in
                guard !isKilled, count >= size || Date() >= deadline else { return }
                isKilled = true
                kill(process.processIdentifier, SIGKILL)
            }
            process.waitUntilExit()
            outputs.append(String(decoding: output, as: UTF8.self))
            if process.terminationReason == .uncaughtSignal {
                kills += 1
            } else {
                #expect(process.terminationStatus == 0)
                return (outputs, kills)
            }
        }
    }

    /// Reads to the end, and tells how much there is on the way.
    private static func read(_ pipe: Pipe, _ look: (Int) -> Void) -> [UInt8] {
        let file = pipe.fileHandleForReading.fileDescriptor
        _ = fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK)
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            var request = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
            _ = poll(&request, 1, 5)
            let count = Glibc.read(file, &buffer, buffer.count)
            if count == 0 { return output }
            if count > 0 { output += buffer[..<count] }
            look(output.count)
        }
    }

    /// What a reader makes of everything that came: one row for each key, or what was wrong.
    private static func deduplicated(_ outputs: [String]) -> Result<[String], Finding> {
        var rows: [Int: Substring] = [:]
        for output in outputs {
            for row in output.split(separator: "\n") {
                let start = "{\"key\":\"calls/shape/"
                let digits = row.dropFirst(start.count).prefix { $0.isNumber }
                guard row.hasPrefix(start), row.hasSuffix("}"), let number = Int(digits),
                    row.dropFirst(start.count + digits.count).hasPrefix("\",")
                else { return .failure(Finding("no key in \(row)")) }
                if let before = rows[number], before != row {
                    return .failure(Finding("two rows \(number): \(before) and \(row)"))
                }
                rows[number] = row
            }
        }
        for number in 1..<(rows.count + 1) where rows[number] == nil {
            return .failure(Finding("row \(number) is missing"))
        }
        return .success((1..<(rows.count + 1)).compactMap { rows[$0].map(plain) })
    }

    private struct Finding: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    /// A row without what is another one in each run.
    private static func plain(_ row: Substring) -> String {
        guard let name = row.range(of: "\"at\":") else { return String(row) }
        return row[..<name.upperBound] + "0" + row[name.upperBound...].drop { $0.isNumber }
    }

    @Test(arguments: [1, 2])
    func `killed again and again, a reader that drops known keys has every row once`(
        workers: Int
    ) throws {
        var random = SeededRandom(seed: 11)
        let folder = TemporaryFolder()
        Self.fill(folder, &random)
        let whole = try Tool.run("run", folder.path, "--once", "--data", folder("other"))
        #expect(whole.status == 0, "\(whole.errors)")
        let expected = try Self.deduplicated([whole.output]).get()
        #expect(expected.count == whole.output.split(separator: "\n").count)
        #expect(expected.count > Self.records)
        let (outputs, kills) = try Self.runWithKills(folder, workers: workers, &random)
        #expect(kills > 2, "the test must kill something")
        let found = try Self.deduplicated(outputs).get()
        // The order within a batch of several workers is theirs, and numbers follow the order.
        let isSame =
            workers == 1
            ? found == expected : Set(found.map(Self.keyless)) == Set(expected.map(Self.keyless))
        #expect(isSame && found.count == expected.count, "\(random)")
        let again = try Tool.run("run", folder.path, "--once")
        #expect(again.status == 0 && again.output.isEmpty, "all of it is noted as delivered")
        print(
            "killed \(kills) times, \(outputs.joined().count { $0 == "\n" }) rows came of \(found.count)"
        )
    }

    private static func keyless(_ row: String) -> String {
        "{" + row.drop { $0 != "," }.dropFirst()
    }

    @Test func `a reader sees it when keys are given anew, or rows left out`() {
        let first = "{\"key\":\"calls/shape/1\",\"i\":1}\n{\"key\":\"calls/shape/2\",\"i\":2}\n"
        func isSound(_ second: String) -> Bool {
            (try? Self.deduplicated([first, second]).get()) != nil
        }
        #expect(
            isSound("{\"key\":\"calls/shape/2\",\"i\":2}\n{\"key\":\"calls/shape/3\",\"i\":3}\n"))
        #expect(!isSound("{\"key\":\"calls/shape/2\",\"i\":3}\n"), "a number that was given before")
        #expect(!isSound("{\"key\":\"calls/shape/4\",\"i\":4}\n"), "a gap")
        #expect(!isSound("{\"i\":3}\n"), "no key")
        #expect(!isSound("{\"key\":\"calls/shape/3\",\"i"), "a row that was torn")
    }

    @Test func `at_most_once gives no key twice, and the stream goes on`() throws {
        var random = SeededRandom(seed: 12)
        let folder = TemporaryFolder()
        Self.fill(folder, &random)
        folder.write("delivery: at_most_once\n" + Self.pipeline, to: "pipeline.yaml")
        let (outputs, kills) = try Self.runWithKills(folder, workers: 1, &random)
        #expect(kills > 0, "the test must kill something")
        let keys = outputs.joined().split(separator: "\n").map { $0.prefix { $0 != "," } }
        #expect(Set(keys).count == keys.count, "\(random)")
        folder.write("{\"user\":\"new\",\"i\":-7}\n", to: "in/9.jsonl")
        let last = try Tool.run("run", folder.path, "--once")
        #expect(last.status == 0 && last.output.contains("\"i\":-7"))
    }

    @Test(arguments: [1, 2])
    func `a reader that pauses makes the source wait, and takes no memory`(workers: Int) throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {generate: {script: g.lua, count: 9000}}
            sinks: [{stdout: {outbox: true}}]
            """, to: "pipeline.yaml")
        folder.write(
            "local pad = (\"x\"):rep(4000)\nfunction generate(i) return {i = i, pad = pad} end",
            to: "g.lua")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path, "--once", "--workers", "\(workers)"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        // Nobody reads: the journal, which gets every row first, stops growing.
        var size = -1
        let deadline = Date() + 30
        while Date() < deadline, size <= 1 << 20 || folder.journalSize != size {
            size = folder.journalSize
            RunLoop.current.run(until: Date() + 0.3)
        }
        #expect(process.isRunning)
        // 36 MB would come; a part of it waits.
        #expect(size < 16 << 20, "\(size)")
        let status = try String(
            contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let peak = try #require(status.firstMatch(of: /VmHWM:\s*([0-9]+) kB/).flatMap { Int($0.1) })
        #expect(peak < 100 << 10, "\(peak) kB")
        let reader = Process()
        reader.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        reader.arguments = ["wc", "-l"]
        reader.standardInput = pipe.fileHandleForReading
        let answer = Pipe()
        reader.standardOutput = answer
        try reader.run()
        let count = Self.read(answer) { _ in }
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(String(decoding: count, as: UTF8.self) == "9000\n")
        print("\(size) bytes of journal, peak of \(peak) kB")
    }

    @Test func `rows of a sink that is gone are told of, and come when it is back`() throws {
        let folder = TemporaryFolder()
        let sinks =
            "source: {file: {path: in.jsonl}}\nsinks: [{name: NAME, stdout: {outbox: true}}]\n"
        folder.write(sinks.replacing("NAME", with: "a"), to: "pipeline.yaml")
        folder.write("{\"i\":1}\n{\"i\":2}\n", to: "in.jsonl")
        // A reader that has gone away before the first row.
        let shell = try RunProcess.run(
            "sh", ["-c", "\"$0\" run . --once | true; exit 0", Tool.binary], folder: folder.path)
        #expect(shell.errorText.contains("stdout: broken pipe"), "\(shell.errorText)")
        folder.write(sinks.replacing("NAME", with: "b"), to: "pipeline.yaml")
        let other = try Tool.run("run", folder.path, "--once")
        #expect(other.errors.contains("2 rows for the sink \"a\" wait in the store"))
        #expect(other.output.isEmpty)
        folder.write(sinks.replacing("NAME", with: "a"), to: "pipeline.yaml")
        #expect(try Tool.run("run", folder.path, "--once").output == "{\"i\":1}\n{\"i\":2}\n")
    }

    @Test func `without a store it is refused with its place`() throws {
        let folder = TemporaryFolder()
        folder.write(
            "source: {file: {path: \"-\"}}\nsinks: [{stdout: {outbox: true}}]\n",
            to: "pipeline.yaml")
        let run = try Tool.run("run", folder.path, "--once", "--fresh", input: Data("{}\n".utf8))
        #expect(run.status == 2 && run.output.isEmpty)
        #expect(run.errors.contains("pipeline.yaml:2:27: error: an outbox needs a store"))
    }
}

extension TemporaryFolder {
    /// Bytes of the journal that hold something: segments are made in one piece.
    fileprivate var journalSize: Int {
        let folder = self("data/journal")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        var total = 0
        for name in names {
            var status = stat()
            if stat(folder + "/" + name, &status) == 0 { total += Int(status.st_blocks) * 512 }
        }
        return total
    }
}
