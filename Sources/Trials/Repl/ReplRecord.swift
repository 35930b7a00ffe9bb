package import Connecting
internal import Engine
internal import Records
internal import Scripting

/// One record that a session works on.
package struct ReplRecord: Sendable {
    /// The JSON text; of a malformed one what the source gave.
    package var text: [UInt8]
    /// Why it is no record; nil when it is one.
    package var problem: String?
    /// Where it comes from, for `meta`; nil when it is of a file, or was typed.
    var origin: ReplOrigin?
    /// Lines that are shown with it.
    var notes: [String] = []
    /// Of a dead letter the values at each line, and the version of the rules then.
    var trace: [String] = []
    var ruleSet: String?

    /// Creates a record.
    package init(text: [UInt8], problem: String? = nil) {
        self.text = text
        self.problem = problem
    }

    /// Its value; nil when it is malformed.
    var value: Value? {
        var reader = JSONReader(text)
        return problem == nil ? try? reader.readDocument() : nil
    }

    /// The text as people see it.
    var shown: String { String(decoding: text, as: UTF8.self) }
}

/// What a session remembers of its last run.
struct LastRun {
    var stage: Int
    var before: ReplRecord
    var after: ReplRecord
    var result: StageResult
    /// The keyed state of the stage before it.
    var state: [Field]
    /// The engine's time in it, in whole seconds since 1970.
    var second: Int
}

/// An entry of the keyed state.
struct StateKey: Hashable {
    var stage: String
    var kind: Int32
    var key: [UInt8]
}

extension ReplRecord {
    /// The first records of a source.
    package static func read(
        _ source: any Source, most: Int
    ) throws(ConnectorError) -> [ReplRecord] {
        var records: [ReplRecord] = []
        let batch = Batch()
        while records.count < most {
            batch.removeAll()
            guard
                case .records = try source.read(
                    into: batch, limit: ReadLimit(bytes: 1 << 18), milliseconds: 100)
            else { break }
            records += Self.records(of: batch)
        }
        return Array(records.prefix(most))
    }

    private static func records(of batch: Batch) -> [ReplRecord] {
        let bytes = unsafe batch.bytes.withUnsafeBytes { unsafe Array($0) }
        if batch.entries.isEmpty {
            return bytes.split(separator: 0x0A).filter { line in
                !line.allSatisfy { [0x20, 0x09, 0x0D].contains($0) }
            }.map { checked(Array($0)) }
        }
        let originals = unsafe batch.originals.withUnsafeBytes { unsafe Array($0) }
        return batch.entries.map { entry in
            if entry.problem.isEmpty { return checked(Array(bytes[entry.text])) }
            return ReplRecord(
                text: Array(originals[entry.original]),
                problem: String(decoding: originals[entry.problem], as: UTF8.self))
        }
    }

    static func checked(_ text: [UInt8]) -> ReplRecord {
        do {
            _ = try Record(json: text)
            return ReplRecord(text: text)
        } catch {
            let problem = "\(error)".replacing("malformed JSON: ", with: "")
            return ReplRecord(text: text, problem: problem)
        }
    }
}
