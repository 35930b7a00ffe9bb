import Connecting
import Foundation
import Records
import TestKit
import Threads

@testable import Connectors

/// Runs of a file source over one folder that share what was committed.
final class FileRuns {
    let folder = TemporaryFolder()
    var options: FileSource.Options
    /// Every run is kept, as with a store.
    private let isKept: Bool
    private(set) var committed: [String: [UInt8]] = [:]
    private let told = Locked<(warnings: [String], counts: FileCounts)>(([], FileCounts()))
    private var source: FileSource?
    private let batch = Batch()

    init(_ paths: String..., follow: Bool = false, isKept: Bool = true) {
        options = FileSource.Options(paths: paths)
        options.follow = follow
        self.isKept = isKept
    }

    /// What a person was told.
    var warnings: [String] { told.withLock { $0.warnings } }
    var counts: FileCounts { told.withLock { $0.counts } }

    /// Gives up all memory of earlier runs but these positions.
    func remember(_ positions: [String: [UInt8]]) { committed = positions }

    /// Begins a run; followed files are read until it is ended.
    func begin(once: Bool = false) throws(ConnectorError) {
        told.withLock { $0 = ([], FileCounts()) }
        var context = RunContext(
            folder: folder.path, once: once, inputs: [], recordLimit: 2000, sourceName: "source")
        context.resumption.isKept = isKept
        context.resumption.positions = isKept ? committed : [:]
        context.warn = { [told] text in told.withLock { $0.warnings.append(text) } }
        context.noteFiles = { [told] counts in told.withLock { $0.counts = counts } }
        source = try FileSource(options, context: context)
    }

    /// One whole run, `--once`: what it has read.
    func run() throws(ConnectorError) -> [String] {
        try begin(once: true)
        var rows: [String] = []
        while let source {
            batch.removeAll()
            let outcome = try source.read(
                into: batch, limit: ReadLimit(bytes: 700), milliseconds: 1)
            rows += rowsOfBatch()
            if outcome == .end { break }
        }
        commit()
        return rows
    }

    /// Reads until there are so many records, or nothing has come for long.
    func take(_ count: Int) throws(ConnectorError) -> [String] {
        var rows: [String] = []
        var patience = 2000
        while let source, rows.count < count, patience > 0 {
            batch.removeAll()
            let outcome = try source.read(
                into: batch, limit: ReadLimit(bytes: 700), milliseconds: 1)
            rows += rowsOfBatch()
            patience -= outcome == .records ? 0 : 1
        }
        commit()
        return rows
    }

    /// Looks around until something holds; false when it does not for long.
    func look(until holds: () -> Bool) throws(ConnectorError) -> Bool {
        for _ in 0..<2000 where !holds() { _ = try take(0, calls: 1) }
        return holds()
    }

    private func take(_ count: Int, calls: Int) throws(ConnectorError) -> [String] {
        guard let source else { return [] }
        batch.removeAll()
        _ = try source.read(into: batch, limit: ReadLimit(bytes: 700), milliseconds: 1)
        return rowsOfBatch()
    }

    func commit() {
        source?.takePositions(before: nil) { name, position in
            committed[name] = position.isEmpty ? nil : position
        }
    }

    private func rowsOfBatch() -> [String] {
        let text = batch.bytes.withUnsafeBytes { Array($0) }
        let originals = batch.originals.withUnsafeBytes { Array($0) }
        if batch.entries.isEmpty {
            return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
        }
        return batch.entries.map { entry in
            if entry.problem.isEmpty { return String(decoding: text[entry.text], as: UTF8.self) }
            let original = String(decoding: originals[entry.original], as: UTF8.self)
            let problem = String(decoding: originals[entry.problem], as: UTF8.self)
            return entry.isContinued ? "<continued: \(original)>" : "<\(problem)>"
        }
    }
}

/// Lines with numbers.
func numbered(_ range: Range<Int>) -> [String] { range.map { "{\"n\":\($0)}" } }

extension [String] {
    var text: String { map { $0 + "\n" }.joined() }
}

extension TemporaryFolder {
    /// Appends to a file.
    func append(_ text: String, to name: String) throws { try append(Array(text.utf8), to: name) }

    func append(_ bytes: [UInt8], to name: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: self(name)))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }

    /// Copies a file, and cuts it to nothing, as rotation does for writers that do not reopen.
    func copyAndTruncate(_ name: String, to other: String) {
        write(read(name) ?? [], to: other)
        write("", to: name)
    }
}
