package import Connecting
package import Definitions
internal import Engine
internal import Glibc
internal import Journal
internal import Queueing
internal import Records
package import Trials

/// Gets the records that a session asks for; nothing is ever written.
package struct ReplInputs {
    private let folder: String
    private let data: String
    /// What the folder may name.
    private let catalogue: Catalogue

    /// How long a tap is waited for, in milliseconds.
    private static let patience: Int64 = 5_000

    /// Inputs of a pipeline folder, the store `data`, and files that `catalogue` can read.
    package init(folder: String, data: String, catalogue: Catalogue) {
        self.folder = folder
        self.data = data
        self.catalogue = catalogue
    }

    /// The records of an input, or why there are none.
    package func open(_ input: ReplInput) -> Result<[ReplRecord], PipelineError> {
        do throws(ControlFailure) {
            switch input {
            case .file(let path): return openFile(path)
            case .queue(let name, let most):
                return .success(try messages(of: name, most).map(ReplRecord.init(message:)))
            case .letters(let ids):
                return .success(try letters(ids).map(ReplRecord.init(letter:)))
            case .tap(let stage, let point, let most):
                return .success(try tap(stage, point, most))
            }
        } catch {
            return .failure(PipelineError(exitCode: error.exitCode, error.message))
        }
    }

    // MARK: Queues and dead letters

    private func messages(of queue: String, _ most: Int) throws(ControlFailure) -> [Record] {
        // In base64, since a record must come as it is, byte for byte.
        let fields = [
            Field("queue", .string(queue)), Field("max", .integer(Int64(most))),
            Field("base64", .boolean(true)),
        ]
        var lines = try askRunning("queue.peek", fields)
        if lines == nil { lines = try lookAlone("queue.peek", fields) }
        return (lines ?? []).compactMap { try? Record(json: $0) }
    }

    private func letters(_ ids: [String]) throws(ControlFailure) -> [Record] {
        let asked = ids.isEmpty ? [] : [Field("ids", .array(ids.map(Value.string)))]
        if let found = try askRunning("dlq.list", asked) {
            return found.compactMap { try? Record(json: $0) }
        }
        let found = try messages(of: DeadLetters.queueName, ReplInput.limit)
        let letters = found.compactMap { message in
            message["payload_base64"].flatMap { decodeBase64($0.text) }.flatMap {
                try? Record(json: $0)
            }
        }
        let known = Set(letters.compactMap { $0["id"]?.text })
        if let missing = ids.first(where: { !known.contains($0) }) {
            throw ControlFailure(
                1, "there is no dead letter \"\(missing)\"; `tidewheel dlq ls` lists them")
        }
        return ids.isEmpty ? letters : letters.filter { ids.contains($0["id"]?.text ?? "") }
    }

    /// Asks the process that has the store; nil when there is none.
    private func askRunning(
        _ verb: String, _ fields: [Field]
    ) throws(ControlFailure) -> [[UInt8]]? {
        var lines: [[UInt8]] = []
        let isDone = try ControlClient.run(verb, Record(fields), directory: data) { line in
            lines.append(line)
            return true
        }
        return isDone ? lines : nil
    }

    /// Does a verb of the queues over a store that nobody else has, and changes nothing of it.
    private func lookAlone(
        _ verb: String, _ fields: [Field]
    ) throws(ControlFailure) -> [[UInt8]] {
        guard readWholeFile(data + "/FORMAT") != nil else {
            throw ControlFailure(
                2, "there is no store in \(data); run the pipeline, or name its store with --data")
        }
        var lines: [[UInt8]] = []
        do throws(QueueError) {
            var random = SystemRandomNumberGenerator()
            let store = try Store(
                opening: data, on: ReadingDisk(), queues: declaredQueues() + [DeadLetters.settings],
                random: &random)
            var verbs = VerbTable()
            QueueVerbs(store).add(to: &verbs)
            let output = ControlOutput { lines.append($0) }
            let call = ControlCall(verb: verb, arguments: Record(fields), output: output)
            do throws(ControlFailure) { try verbs.run(call) } catch {
                try? store.close()
                throw QueueError(error.exitCode == 2 ? .misuse : .other, error.message)
            }
            try store.close()
        } catch {
            throw ControlFailure(error)
        }
        return lines
    }

    private func declaredQueues() -> [QueueSettings] {
        let definition = try? readDefinition(
            folder: folder, environment: environment(), catalogue: catalogue,
            needsVariables: false)
        return definition?.queues.map(\.settings) ?? []
    }

    // MARK: A running pipeline

    private func tap(
        _ stage: String, _ point: String?, _ most: Int
    ) throws(ControlFailure) -> [ReplRecord] {
        var fields = [
            Field("stage", .string(stage)), Field("count", .integer(Int64(most))),
            Field("wait", .integer(Self.patience)),
        ]
        if let point { fields.append(Field("point", .string(point))) }
        guard let lines = try askRunning("tap", fields) else {
            throw ControlFailure(
                1,
                "no pipeline runs on the store \(data), so nothing passes; start one with `run`, "
                    + "or name its store with --data")
        }
        // Rows begin with `>`; other lines tell how many there were.
        let rows = lines.filter { $0.first == 0x3E }.map { Array($0.dropFirst()) }
        guard !rows.isEmpty else {
            throw ControlFailure(1, "nothing has passed there for \(Self.patience / 1000) seconds")
        }
        return rows.map { row in
            if point == "dead", let letter = try? Record(json: row) {
                return ReplRecord(letter: letter)
            }
            return ReplRecord(row: row)
        }
    }

    // MARK: Files

    /// Reads a file as a source would: JSON lines or CSV, also compressed.
    private func openFile(_ path: String) -> Result<[ReplRecord], PipelineError> {
        let place = Location(file: "repl", line: 1, column: 1)
        let name = Setting(.scalar(path, quoted: true), at: place)
        let options = Setting(
            .mapping([Setting.Entry(key: "path", location: place, value: name)]), at: place)
        var findings: [Diagnostic] = []
        let kind = catalogue.sources.first { $0.name == "file" }
        guard let open = kind?.open(options, &findings) else {
            return .failure(PipelineError(exitCode: 1, findings.first?.message ?? path))
        }
        do throws(ConnectorError) {
            let source = try open(
                RunContext(
                    folder: folder, once: true, inputs: [path], recordLimit: 16 << 20,
                    sourceName: "repl"))
            return .success(try ReplRecord.read(source, most: ReplInput.limit))
        } catch {
            let reason = error.description.split(separator: ";").first.map(String.init) ?? path
            return .failure(PipelineError(exitCode: 1, reason))
        }
    }
}
