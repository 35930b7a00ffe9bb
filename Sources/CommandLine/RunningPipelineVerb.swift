import ArgumentParser
import Glibc
internal import Operating
import Records
import Synchronization

/// A verb that makes sense only while the pipeline runs.
enum RunningPipelineVerb {
    static func run(_ verb: String, _ fields: [Field], _ runner: VerbRunner) throws {
        try runner.run(
            verb, fields,
            orHere: { (_) throws(ControlFailure) in throw nobody(runner.data) })
    }

    /// Nobody serves the store: because nobody has it, or because somebody who has it does not
    /// answer.
    static func nobody(_ data: String) -> ControlFailure {
        if let owner = StoreOwner(of: data) {
            return ControlFailure(
                1,
                "the process \(owner.process) has the store \(data) and serves no verbs: it is "
                    + "about to start or to end, or does something else with it; try again")
        }
        return ControlFailure(
            1,
            "no pipeline runs on the store \(data); start one with `run`, or name its store with "
                + "--data or --folder")
    }

    /// Asks the running pipeline; each line of JSON goes to `each`, which says whether to go on.
    static func ask(
        _ verb: String, _ fields: [Field], data: String, _ each: (Record) -> Bool
    ) throws {
        signal(SIGPIPE, SIG_IGN)
        do throws(ControlFailure) {
            let isDone = try ControlClient.run(verb, Record(fields), directory: data) { line in
                guard let record = try? Record(json: line) else { return true }
                return each(record)
            }
            guard isDone else { throw nobody(data) }
        } catch {
            throw CommandFailure(exitCode: error.exitCode, text: described(error.message))
        }
    }
}

/// The text of a failure as it is shown.
func described(_ message: String) -> String {
    message.isEmpty || message.hasPrefix("error") ? message : "error: " + message
}

/// A text that one thread sets and another one takes.
final class SharedText: Sendable {
    private let text = Mutex<String?>(nil)

    func set(_ given: String) { text.withLock { $0 = given } }

    /// What was set last; it stays.
    func take() -> String? { text.withLock { $0 } }
}

/// Where the store of a looker is, and how answers are shown.
struct LookOptions: ParsableArguments {
    @OptionGroup var place: PlaceOptions
    @Option(help: "json: one object per line; text: a table.")
    var format: AnswerFormat?
}
