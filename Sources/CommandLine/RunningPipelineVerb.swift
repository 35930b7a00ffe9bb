import Control
import Records

/// A verb that makes sense only while the pipeline runs.
struct RunningPipelineVerb {
    let options: StoreOptions

    init(_ options: StoreOptions) { self.options = options }

    func run(_ verb: String, _ fields: [Field]) throws {
        try VerbRunner(options).run(
            verb, fields,
            orHere: { (_) throws(ControlFailure) in
                throw ControlFailure(
                    1,
                    "no pipeline runs on the store \(options.data); start one with `run`, or "
                        + "name its store with --data")
            })
    }
}
