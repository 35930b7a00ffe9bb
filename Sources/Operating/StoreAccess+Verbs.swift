internal import Connecting
internal import Definitions
package import Engine
package import Records
internal import Trials

extension StoreAccess {
    /// What became of the rule sets of the pipeline, oldest first.
    package func versions() throws(ControlFailure) -> [VersionRow] {
        var history = VersionHistory()
        try look { kind, bytes in history.take(kind: kind, bytes) }
        return history.rows
    }

    /// What would become of a record of the pipeline in the current folder.
    package func explain(_ id: String) throws(ControlFailure) -> [Record] {
        let definition: Definition
        do throws(DiagnosticList) {
            definition = try readDefinition(
                folder: ".", environment: environment(), catalogue: catalogue)
        } catch { throw ControlFailure(2, describe(error.findings, in: ".")) }
        return try ControlSocket.wrap { () throws(PipelineError) in
            try StoppedPipeline(definition, data: data).explain(id)
        }
    }
}
