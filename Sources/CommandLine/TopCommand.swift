import ArgumentParser
internal import Connecting
internal import Engine
import Glibc
import Records
internal import Trials

/// `tidewheel top`: what a running pipeline does.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Show what a running pipeline does, stage by stage.",
        discussion: "Rules are measured only while somebody looks. Percentiles of the CPU time of "
            + "one call are of the last interval; records, errors, dropped and the hottest line "
            + "are counted since the looking began. On a terminal it refreshes until Ctrl-C; "
            + "elsewhere it looks once and prints JSON, one object per line.")
    @Option(help: "The time between two looks.")
    var interval = "1s"
    @Option(name: .shortAndLong, help: "End after so many looks.")
    var number: Int?
    @OptionGroup var folder: FolderArgument
    @OptionGroup var options: LookOptions

    func validate() throws {
        if let number { try checkCount(number) }
        _ = try milliseconds()
    }

    private func milliseconds() throws -> Int {
        guard let nanoseconds = parseDuration(interval), nanoseconds >= 10_000_000,
            nanoseconds <= 3_600_000_000_000
        else { throw ValidationError("--interval must be a time from 10ms to 1h, such as 1s") }
        return Int(nanoseconds / 1_000_000)
    }

    func run() throws {
        let isTerminal = isatty(1) == 1
        let isTable = (options.format ?? (isTerminal ? .text : .json)) == .text
        let looks = number ?? (isTerminal ? Int.max : 1)
        var lines: [Record] = []
        let fields = [
            Field("interval", .integer(Int64(try milliseconds()))),
            Field("count", .integer(Int64(looks))),
            Field("marks", .boolean(isTable)),
        ]
        var isFirst = true
        func show() {
            guard isTable, !lines.isEmpty else { return }
            // Over the one before on a terminal, below it elsewhere.
            var text = isTerminal && looks > 1 ? "\u{1B}[H\u{1B}[J" : isFirst ? "" : "\n"
            for line in LookTables.top(lines) { text += line + "\n" }
            _ = writeWhole(Array(text.utf8), to: 1)
            lines = []
            isFirst = false
        }
        let data = try options.place.place(folder).data
        try RunningPipelineVerb.ask("top", fields, data: data) { line in
            guard isTable else { return writeWhole(line.json + [0x0A], to: 1) }
            if line["what"] == "end" { show() } else { lines.append(line) }
            return true
        }
        show()
    }
}
