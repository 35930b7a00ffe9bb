import ArgumentParser
internal import Connecting
internal import Definitions
internal import Engine
import Glibc
internal import Operating
import Records
internal import Threads
internal import Trials

/// `tidewheel repl`: try records against rules.
struct ReplCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repl", abstract: "Try records against rules, line by line.")

    @OptionGroup var argument: FolderArgument
    @Option(help: "The stage to begin with.")
    var stage: String?
    @Option(
        help: "Records to load: a file, queue:NAME, dlq, dlq:ID, tap:STAGE, tap:STAGE.in.")
    var input: String?
    @OptionGroup var place: PlaceOptions

    private var folder: String { argument.path ?? place.folder ?? "." }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        let session: ReplSession
        do {
            let data = StorePlace(folder: folder, data: place.data).data
            let inputs = ReplInputs(folder: folder, data: data, catalogue: .checking)
            session = try ReplSession(stage: stage, load: loadPlan, open: inputs.open)
        } catch {
            throw CommandFailure(exitCode: error.exitCode, text: error.description)
        }
        let isTerminal = isatty(0) == 1 && isatty(1) == 1
        if isTerminal { show(["\(session.title); :help lists the commands"]) }
        if let input { show(session.load(ReplInput(option: input))) }
        if isTerminal { try talk(session) } else { listen(session) }
    }

    /// Through a pipe: no prompt, no echo, every answer at once.
    private func listen(_ session: ReplSession) {
        var lines = LineReader()
        while !session.isFinished, let line = lines.next() {
            switch line {
            case .text(let text): show(session.execute(text))
            case .tooLong: show(["error: the line is longer than 1 MiB and was left out"])
            }
        }
        if !session.isFinished { show(session.finish()) }
    }

    private func talk(_ session: ReplSession) throws {
        var files = FolderState(folder + "/rules")
        let editor = LineEditor(
            historyPath: Self.historyPath(),
            complete: { session.completions(of: $0) },
            idle: {
                let now = FolderState(folder + "/rules")
                guard now != files else { return [] }
                // An editor may be in the middle of writing.
                pause(milliseconds: 20)
                guard FolderState(folder + "/rules") == now else { return [] }
                files = now
                return session.runAgain()
            })
        guard let editor else {
            throw CommandFailure(exitCode: 1, text: "error: the terminal cannot be used")
        }
        while !session.isFinished {
            let prompt = session.isIncomplete ? "... " : "\(session.stageName)> "
            switch editor.read(prompt: prompt) {
            case .line(let line):
                editor.remember(line)
                show(session.execute(line))
                // What `:save` writes is no edit.
                files = FolderState(folder + "/rules")
            case .interrupted: session.dropPending()
            case .end:
                show(session.finish())
                writeOutput("\n")
            }
        }
    }

    private func show(_ lines: [String]) {
        for line in lines { writeOutput(line + "\n") }
    }

    private func loadPlan() -> Result<Plan, PipelineError> {
        do {
            return .success(try loadRules(folder))
        } catch let failure as CommandFailure {
            return .failure(PipelineError(exitCode: failure.exitCode, failure.text))
        } catch {
            return .failure(PipelineError(exitCode: 2, "error: \(error)"))
        }
    }

    /// The file of typed lines, in the user's folder for such things.
    private static func historyPath() -> String {
        let variables = environment()
        var folder = variables["XDG_STATE_HOME"] ?? ""
        if folder.isEmpty { folder = (variables["HOME"] ?? "") + "/.local/state" }
        var made = ""
        for part in (folder + "/tidewheel").split(separator: "/") {
            made += "/" + part
            unsafe mkdir(made, 0o700)
        }
        return made + "/repl_history"
    }
}
