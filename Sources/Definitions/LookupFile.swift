internal import Connecting
internal import Records
package import Scripting

/// Reads a lookup table from CSV or JSON lines.
package struct LookupFile {
    /// The table as `pipeline.yaml` declares it.
    package let definition: LookupDefinition
    /// The folder that its path is relative to.
    package let folder: String

    /// The file of a table in a pipeline folder.
    package init(definition: LookupDefinition, folder: String) {
        self.definition = definition
        self.folder = folder
    }

    /// The table, or why there is none.
    package func read() throws(PipelineError) -> Lookup {
        let path = resolve(definition.path, in: folder)
        guard let bytes = readFile(path, largest: largestLookup) else {
            let problem = fileProblem(path, largest: largestLookup)
            throw PipelineError(
                exitCode: 2,
                "\(definition.path): the lookup \"\(definition.name)\" "
                    + (problem ?? "cannot be read"))
        }
        if definition.path.hasSuffix(".csv") { return try readCSV(bytes) }
        return try readLines(bytes)
    }

    private func fail(_ line: Int, _ message: String) -> PipelineError {
        PipelineError(exitCode: 2, "\(definition.path):\(line): \(message)")
    }

    private func readCSV(_ bytes: [UInt8]) throws(PipelineError) -> Lookup {
        var parser = CSVParser(bytes)
        guard let header = parser.next() else {
            throw fail(1, "the file is empty; its first row must name the columns")
        }
        guard String(validating: bytes[header.bytes], as: UTF8.self) != nil else {
            throw fail(header.line, "not valid UTF-8")
        }
        let columns = header.cells.map { String(decoding: $0, as: UTF8.self) }
        guard let key = columns.firstIndex(of: definition.key) else {
            let hint = suggestion(for: definition.key, among: columns)
            throw fail(1, "there is no column \"\(definition.key)\"\(hint)")
        }
        var builder = LookupBuilder(columns: columns)
        while let row = parser.next() {
            guard row.cells.count == columns.count else {
                throw fail(
                    row.line, "row has \(row.cells.count) cells, the header has \(columns.count)")
            }
            guard String(validating: bytes[row.bytes], as: UTF8.self) != nil else {
                throw fail(row.line, "not valid UTF-8")
            }
            builder.beginRow(key: row.cells[key])
            for (index, cell) in row.cells.enumerated() {
                builder.set(index, to: cell, isJSON: false)
            }
        }
        if parser.isUnfinished { throw fail(parser.line, "a quote that is never closed") }
        return builder.finish()
    }

    private func readLines(_ bytes: [UInt8]) throws(PipelineError) -> Lookup {
        var rows: [(line: Int, record: Record)] = []
        var columns: [String] = []
        var known: Set<String> = []
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
            let record: Record
            do {
                record = try Record(json: line)
            } catch {
                throw fail(index + 1, "\(error)")
            }
            for field in record.fields where known.insert(field.name).inserted {
                columns.append(field.name)
            }
            rows.append((index + 1, record))
        }
        var builder = LookupBuilder(columns: columns.isEmpty ? [definition.key] : columns)
        for row in rows {
            guard let value = row.record[definition.key] else {
                throw fail(row.line, "the field \"\(definition.key)\" is missing")
            }
            builder.beginRow(key: Array(value.text.utf8))
            for (index, column) in columns.enumerated() {
                guard let value = row.record[column] else { continue }
                if case .string(let text) = value {
                    builder.set(index, to: Array(text.utf8), isJSON: false)
                } else {
                    builder.set(index, to: value.json, isJSON: true)
                }
            }
        }
        return builder.finish()
    }
}

extension LookupFile {
    /// The names of its columns or fields; nil when they cannot be told.
    package var columns: [String]? {
        let path = resolve(definition.path, in: folder)
        if definition.path.hasSuffix(".csv") {
            // The header alone: tables may be large, and a reload is waited for.
            guard let head = readFile(path, most: 1 << 16, largest: largestLookup) else {
                return nil
            }
            var parser = CSVParser(head)
            guard let header = parser.next() else { return nil }
            return header.cells.map { String(decoding: $0, as: UTF8.self) }
        }
        guard let bytes = readFile(path, largest: largestLookup) else { return nil }
        var names: [String] = []
        var known: Set<String> = []
        for line in bytes.split(separator: 0x0A) {
            guard let record = try? Record(json: line) else { continue }
            for field in record.fields where known.insert(field.name).inserted {
                names.append(field.name)
            }
        }
        return names.isEmpty ? nil : names
    }
}
