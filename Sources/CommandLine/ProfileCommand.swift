import ArgumentParser
internal import Engine
import Glibc
import Records
internal import Trials

/// `tidewheel profile`: where the time of a rule goes.
struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "Show where the time of a stage's rule goes, line by line.",
        discussion: "The lines of a running pipeline are sampled every 499 instructions of Lua, "
            + "only while this runs. SHARE is of these samples; CPU is of samples by CPU time, "
            + "one every 4 ms, which also see the time within functions of the engine.")
    @Argument(help: "The stage whose rule is sampled.")
    var stage: String
    @Option(help: "For so many seconds.")
    var seconds = 10.0
    @Option(
        help: ArgumentHelp(
            "Write the stacks to a file as flame graph tools read them.", valueName: "file"))
    var folded: String?
    @OptionGroup var options: LookOptions

    func validate() throws {
        guard seconds >= 0.01, seconds <= 3600 else {
            throw ValidationError("--seconds must be from 0.01 to 3600")
        }
    }

    func run() throws {
        var fields = [
            Field("stage", .string(stage)),
            Field("milliseconds", .integer(Int64(seconds * 1000))),
        ]
        if folded != nil { fields.append(Field("stacks", .boolean(true))) }
        var lines: [Record] = []
        var stacks = ""
        try RunningPipelineVerb.ask("profile", fields, data: try options.place.place().data) {
            line in
            if line["what"] == "stack" {
                stacks += "\(line["stack"]?.text ?? "") \(line["samples"]?.text ?? "0")\n"
            } else {
                lines.append(line)
            }
            return true
        }
        if let folded { try write(stacks, to: folded) }
        if options.format == .json {
            for line in lines { printLine(line.json) }
        } else {
            for line in LookTables.profile(lines) { print(line) }
        }
    }

    private func write(_ text: String, to path: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0, writeWhole(Array(text.utf8), to: descriptor) else {
            let reason = unsafe String(cString: strerror(errno))
            throw CommandFailure(exitCode: 1, text: "error: \(path): \(reason) (--folded)")
        }
        close(descriptor)
    }
}
