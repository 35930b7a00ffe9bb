import ArgumentParser
internal import Engine
import Glibc
internal import Operating
import Records

/// `tidewheel tap`: shows what passes a point of a running pipeline.
struct TapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tap", abstract: "Show what passes a stage of a running pipeline.",
        discussion: "The point is STAGE or STAGE.out (what leaves it), STAGE.in (what comes to "
            + "it), STAGE.dead (its dead letters) or STAGE.OUTPUT. When more passes than can be "
            + "shown, a part of it is; how much that was is said at the end.")
    @Argument(help: "STAGE, STAGE.in, STAGE.dead or STAGE.OUTPUT.")
    var point: String
    @Option(name: .shortAndLong, help: "End after so many rows.")
    var number: Int?
    @Option(
        help: ArgumentHelp(
            "Show only rows for which an expression on the record r is true.",
            valueName: "lua expression"))
    var `where`: String?
    @Option(
        help: ArgumentHelp(
            "Also write the rows to a file, for run --input and repl --input.", valueName: "file"))
    var save: String?
    @OptionGroup var options: LookOptions

    func validate() throws {
        if let number { try checkCount(number) }
        if let save {
            let packed = [".csv", ".gz", ".zst"].first { save.lowercased().hasSuffix($0) }
            if let packed {
                throw ValidationError(
                    "--save writes lines of JSON, and a name with \(packed) would be read as "
                        + "something else; write to NAME.jsonl")
            }
        }
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        let parts = point.split(separator: ".", maxSplits: 1).map(String.init)
        guard let stage = parts.first else { throw ValidationError("name a stage") }
        var fields = [Field("stage", .string(stage))]
        if parts.count > 1 { fields.append(Field("point", .string(parts[1]))) }
        if let number { fields.append(Field("count", .integer(Int64(number)))) }
        if let `where` { fields.append(Field("where", .string(`where`))) }
        let screen = try TapScreen(save: save)
        StopSignals.install()
        StopSignals.whenStopped { _ in
            screen.end()
            Glibc.exit(0)
        }
        let data = try options.place.place().data
        do throws(ControlFailure) {
            let isDone = try ControlClient.run("tap", Record(fields), directory: data) {
                screen.take($0)
            }
            guard isDone else { throw RunningPipelineVerb.nobody(data) }
        } catch {
            screen.end()
            throw CommandFailure(exitCode: error.exitCode, text: described(error.message))
        }
        screen.end()
    }
}

/// Where the rows of a tap go, and what is said about them at the end.
private final class TapScreen: Sendable {
    private let counts = SharedText()
    private let path: String?
    private let file: Int32
    private let isFirst = SharedText()

    init(save path: String?) throws {
        self.path = path
        guard let path else {
            file = -1
            return
        }
        // What is in the file goes when there is something to take its place.
        file = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw Self.failure(path) }
    }

    private static func failure(_ path: String) -> CommandFailure {
        let reason = unsafe String(cString: strerror(errno))
        return CommandFailure(exitCode: 1, text: "error: \(path): \(reason) (--save)")
    }

    /// One line of the pipeline; false when nobody reads what is shown.
    func take(_ line: [UInt8]) -> Bool {
        guard line.first == 0x3E else {
            counts.set(String(decoding: line.dropFirst(), as: UTF8.self))
            return true
        }
        let row = Array(line.dropFirst())
        if file >= 0 {
            if isFirst.take() == nil { ftruncate(file, 0) }
            isFirst.set("no")
            guard writeWhole(row + [0x0A], to: file) else {
                writeError(Self.failure(path ?? "").text)
                return false
            }
        }
        return writeWhole(row + [0x0A], to: 1)
    }

    /// Says how many rows there were, if that is not what everybody can see.
    func end() {
        guard let text = counts.take(), let line = try? Record(json: text) else { return }
        func number(_ name: String) -> Int {
            if case .integer(let number)? = line[name] { Int(number) } else { 0 }
        }
        let (saw, lookedAt, showed) = (number("saw"), number("looked_at"), number("showed"))
        if saw != showed {
            let sample = lookedAt < saw ? "; looked at a sample of \(grouped(lookedAt))" : ""
            writeError("saw \(grouped(saw)), showed \(grouped(showed))\(sample)")
        }
        if let problem = line["problem"]?.text {
            let failed = number("failed")
            writeError(
                "warning: the condition failed for \(grouped(failed)) "
                    + (failed == 1 ? "row" : "rows") + ", which are not shown: \(problem)")
        }
    }

    private func grouped(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = "," + text }
            text = String(digit) + text
        }
        return text
    }
}

/// Writes all bytes; false when that is not possible.
func writeWhole(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
        }
        if count < 0 && errno != EINTR { return false }
        done += max(count, 0)
    }
    return true
}
