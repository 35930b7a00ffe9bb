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

    private var format: TextFormat {
        TextFormat(name: definition.path, delimiter: definition.delimiter)
    }

    /// The table, or why there is none.
    package func read() throws(PipelineError) -> Lookup {
        let path = resolve(definition.path, in: folder)
        let bytes: [UInt8]
        do throws(ConnectorError) {
            bytes = try readText(
                path, shown: definition.path, format.packing, largest: largestLookup)
        } catch {
            throw PipelineError(
                exitCode: 2,
                "\(definition.path): the lookup \"\(definition.name)\" \(error.description)")
        }
        return format.records == .csv ? try readCSV(bytes) : try readLines(bytes)
    }

    private func fail(_ line: Int, _ message: String) -> PipelineError {
        PipelineError(exitCode: 2, "\(definition.path):\(line): \(message)")
    }

    private func readCSV(_ bytes: [UInt8]) throws(PipelineError) -> Lookup {
        var table = CSVTable(bytes, delimiter: format.delimiter)
        guard let header = table.next() else {
            throw fail(1, "the file is empty; its first row must name the columns")
        }
        let columns = try names(header)
        guard let key = columns.firstIndex(of: definition.key) else {
            let hint = suggestion(for: definition.key, among: columns)
            throw fail(1, "there is no column \"\(definition.key)\"\(hint)")
        }
        var builder = LookupBuilder(columns: columns)
        while let row = table.next() {
            if row.isUnclosed { throw fail(row.line, "a quote that is never closed") }
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
        return builder.finish()
    }

    private func names(_ header: CSVTable.Row) throws(PipelineError) -> [String] {
        let texts = header.cells.compactMap { String(validating: $0, as: UTF8.self) }
        guard texts.count == header.cells.count else { throw fail(header.line, "not valid UTF-8") }
        do throws(ConnectorError) { return try CSVHeader(texts, .auto).names } catch {
            throw fail(header.line, error.description)
        }
    }

    /// JSON lines, or one list of objects.
    private func records(
        _ bytes: [UInt8]
    ) throws(PipelineError) -> [(line: Int, record: Record)] {
        let first = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        if format.records == .json, first == 0x5B { return try elements(bytes) }
        var rows: [(line: Int, record: Record)] = []
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
            do {
                rows.append((index + 1, try Record(json: line)))
            } catch {
                throw fail(index + 1, "\(error)")
            }
        }
        return rows
    }

    private func elements(
        _ bytes: [UInt8]
    ) throws(PipelineError) -> [(line: Int, record: Record)] {
        var reader = JSONReader(bytes)
        let list: Value
        do { list = try reader.readDocument() } catch { throw fail(1, "\(error)") }
        guard case .array(let items) = list else { throw fail(1, "the file is no list") }
        var rows: [(line: Int, record: Record)] = []
        for (index, item) in items.enumerated() {
            guard case .object(let fields) = item else {
                throw fail(1, "element \(index + 1) is no object")
            }
            rows.append((1, Record(fields)))
        }
        return rows
    }

    private func readLines(_ bytes: [UInt8]) throws(PipelineError) -> Lookup {
        let rows = try records(bytes)
        var columns: [String] = []
        var known: Set<String> = []
        for row in rows {
            for field in row.record.fields where known.insert(field.name).inserted {
                columns.append(field.name)
            }
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
        let isTable = format.records == .csv
        // The header alone: tables may be large, and a reload is waited for.
        guard
            let bytes = try? readText(
                path, shown: definition.path, format.packing, most: isTable ? 1 << 16 : .max,
                largest: largestLookup)
        else { return nil }
        if isTable {
            var table = CSVTable(bytes, delimiter: format.delimiter)
            return table.next().flatMap { try? self.names($0) }
        }
        var names: [String] = []
        var known: Set<String> = []
        for row in (try? records(bytes)) ?? [] {
            for field in row.record.fields where known.insert(field.name).inserted {
                names.append(field.name)
            }
        }
        return names.isEmpty ? nil : names
    }
}
