internal import Definitions
internal import Engine

extension ReplSession {
    /// The way of the record through the runs so far, or what the rules do with a stage or a field.
    func lineage(_ name: String) -> [String] {
        guard !name.isEmpty else {
            return way.isEmpty ? ["no run since the record was loaded"] : way
        }
        do throws(PipelineError) {
            return try LineageGraph(plan).text(about: name)
        } catch {
            return [error.description]
        }
    }
}
