internal import Connecting
internal import Definitions
package import Engine
internal import Journal
internal import Queueing
package import Records
internal import Trials

extension StoreAccess {
    /// What became of the rule sets of the pipeline, oldest first.
    package func versions() throws(ControlFailure) -> [VersionRow] {
        var history = VersionHistory()
        try look { kind, bytes in history.take(kind: kind, bytes) }
        return history.rows
    }

    /// The dead letters of a store whose pipeline is not at hand; nothing is written.
    package func letters(_ ids: [String]) throws(ControlFailure) -> [Record] {
        guard readWholeFile(data + "/FORMAT") != nil else {
            throw ControlFailure(
                2,
                "there is no store in \(data); name the pipeline's folder with --folder, or the "
                    + "store with --data")
        }
        do throws(QueueError) {
            var random = SystemRandomNumberGenerator()
            let store = try Store(
                opening: data, on: ReadingDisk(), queues: [DeadLetters.settings], random: &random)
            let queue = try store.queue(DeadLetters.queueName)
            let letters = try store.peek(queue, max: .max).compactMap {
                try? Record(json: $0.payload)
            }
            try store.close()
            let known = Set(letters.compactMap { $0["id"]?.text })
            if let missing = ids.first(where: { !known.contains($0) }) {
                throw QueueError(
                    .other,
                    "there is no dead letter \"\(missing)\"; `tidewheel dlq ls` lists them")
            }
            let wanted = Set(ids)
            return ids.isEmpty
                ? letters : letters.filter { wanted.contains($0["id"]?.text ?? "") }
        } catch { throw ControlFailure(error) }
    }

    /// What would become of a record of the pipeline in the folder.
    package func explain(_ id: String) throws(ControlFailure) -> [Record] {
        let definition: Definition
        do throws(DiagnosticList) {
            definition = try readDefinition(
                folder: folder, environment: environment(), catalogue: catalogue)
        } catch { throw ControlFailure(2, describe(error.findings, in: folder)) }
        return try ControlSocket.wrap { () throws(PipelineError) in
            try StoppedPipeline(definition, data: data).explain(id)
        }
    }
}
