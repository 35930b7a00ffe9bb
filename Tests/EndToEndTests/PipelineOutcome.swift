import Foundation
import Records
import TestKit
import Testing

/// What a run left behind: the rows of every sink and what its summary counts, without what tells
/// of clocks and memory.
struct PipelineOutcome {
    /// Keys of the summary that depend on the machine.
    private static let measured: Set<String> = [
        "seconds", "cpu_seconds", "peak_memory_bytes", "state_bytes",
    ]

    private(set) var rows: [String: [String]] = [:]
    private(set) var summary: [String: Value] = [:]

    /// Reads `out/*.jsonl` and `summary.json` of a folder.
    init(_ folder: TemporaryFolder) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder("out"))
        for name in names where name.hasSuffix(".jsonl") {
            rows[name] = folder.text("out/\(name)").split(separator: "\n").map { line in
                name.hasPrefix("dead") ? Self.withoutClock(String(line)) : String(line)
            }
        }
        let text = folder.text("summary.json").trimmingCharacters(in: .newlines)
        for field in try Record(json: text).fields where !Self.measured.contains(field.name) {
            summary[field.name] = field.value
        }
    }

    /// Runs a folder to the end of its input, from nothing.
    static func once(
        _ folder: TemporaryFolder, workers: Int, _ arguments: String...
    ) throws -> PipelineOutcome {
        for name in ["out", "data"] { try? FileManager.default.removeItem(atPath: folder(name)) }
        let run = try Tool.run(
            arguments: [
                "run", folder.path, "--once", "--workers", "\(workers)", "--summary",
                folder("summary.json"),
            ] + arguments)
        try #require(run.status == 0, "\(run.errors)")
        return try PipelineOutcome(folder)
    }

    subscript(name: String) -> [String] { rows[name + ".jsonl"] ?? [] }

    /// What is not as in another run, one short line for each sink and figure.
    ///
    /// Rows of a sink must come in the same order; order between sinks is not compared, since each
    /// is a file of its own. `dead.jsonl` is fed by records and by rows of windows, and the latter
    /// come when a batch ends, whose size follows from how long records take: so its letters are
    /// compared by where they come from.
    func differences(from other: PipelineOutcome) -> [String] {
        var found: [String] = []
        for name in Set(rows.keys).union(other.rows.keys).sorted() {
            var (mine, theirs) = (rows[name] ?? [], other.rows[name] ?? [])
            if name == "dead.jsonl" {
                (mine, theirs) = (Self.byOrigin(mine), Self.byOrigin(theirs))
            }
            // Keys of a window over letters stand in the order in which letters have come.
            if name == "letters.jsonl" { (mine, theirs) = (mine.sorted(), theirs.sorted()) }
            guard mine != theirs else { continue }
            let place = zip(mine, theirs).prefix { $0 == $1 }.count
            let rows = [theirs, mine].map { "\($0.dropFirst(place).first?.prefix(200) ?? "none")" }
            found.append(
                "\(name): \(theirs.count) rows became \(mine.count); row \(place) was "
                    + "\(rows[0]) and is \(rows[1])")
        }
        for name in Set(summary.keys).union(other.summary.keys).sorted()
        where summary[name] != other.summary[name] {
            found.append("\(name): \(text(other.summary[name])) became \(text(summary[name]))")
        }
        return found
    }

    private func text(_ value: Value?) -> String {
        value.map { String(decoding: $0.json, as: UTF8.self) } ?? "nothing"
    }

    /// Letters of one source or stage behind those of another, in their own order.
    private static func byOrigin(_ letters: [String]) -> [String] {
        let origins = letters.map { (try? Record(json: $0))?["source"]?.text ?? "" }
        return letters.indices.sorted { (origins[$0], $0) < (origins[$1], $1) }.map { letters[$0] }
    }

    /// A dead letter tells when it was written.
    private static func withoutClock(_ letter: String) -> String {
        guard var record = try? Record(json: letter), record["stage"] != nil else { return letter }
        record.fields.removeAll { $0.name == "at" }
        return record.description
    }
}
