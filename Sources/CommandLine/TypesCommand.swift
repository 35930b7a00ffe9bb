import ArgumentParser
internal import Connecting
internal import Definitions
internal import Engine
import Glibc
internal import Operating

/// `tidewheel types`: what an editor needs to complete and check rules and `pipeline.yaml`.
struct TypesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "types",
        abstract: "Write what editors need to complete and check rules and pipeline.yaml.",
        discussion: """
            types/tidewheel.lua and .luarc.json are for the Lua language server, \
            types/pipeline.schema.json is for the YAML language server. pipeline.yaml gets a \
            comment as its first line by which editors find the schema, unless it has one.
            """)

    @OptionGroup var place: ReadFolder

    private var folder: String { place.name }

    func run() throws {
        let stubs = TypeStubs(try loadRules(folder))
        if unsafe mkdir(folder + "/types", 0o777) != 0 && errno != EEXIST {
            let reason = unsafe String(cString: strerror(errno))
            throw CommandFailure(exitCode: 1, text: "error: \(folder)/types: \(reason)")
        }
        try write(stubs.stubs, to: "types/tidewheel.lua", mark: TypeStubs.mark)
        try write(stubs.settings, to: ".luarc.json", mark: "tidewheel types")
        try write(
            PipelineSchema(.checking).text, to: "types/pipeline.schema.json",
            mark: "tidewheel types")
        try addModeline(to: folder + "/pipeline.yaml")
    }

    /// Puts the comment that names the schema in front of a file that has none.
    private func addModeline(to path: String) throws {
        guard let bytes = readWholeFile(path) else { return }
        if bytes.contains("yaml-language-server".utf8) { return }
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            print("put this line at the top of pipeline.yaml:\n\(PipelineSchema.modeline)")
            return
        }
        let lineEnd = bytes.contains("\r\n".utf8) ? "\r\n" : "\n"
        let mark: [UInt8] = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? [0xEF, 0xBB, 0xBF] : []
        let text = mark + (PipelineSchema.modeline + lineEnd).utf8 + bytes.dropFirst(mark.count)
        // Never a moment in which the file is not whole.
        let beside = path + ".new"
        try writeFile(text, to: beside, option: "types")
        guard unsafe chmod(beside, status.st_mode & 0o7777) == 0, unsafe rename(beside, path) == 0
        else {
            let reason = unsafe String(cString: strerror(errno))
            unsafe unlink(beside)
            throw CommandFailure(exitCode: 1, text: "error: \(path): \(reason) (types)")
        }
        print("added the line \(PipelineSchema.modeline) to pipeline.yaml")
    }

    /// Writes a file, unless somebody else wrote the one that is there.
    private func write(_ text: String, to name: String, mark: String) throws {
        let path = folder + "/" + name
        if let known = readWholeFile(path),
            !String(decoding: known, as: UTF8.self).contains(mark)
        {
            writeError(
                "\(name) was not written by tidewheel and stays as it is; remove it to get ours, "
                    + "or give it \"workspace.library\": [\"types\"]")
            return
        }
        try writeFile(Array(text.utf8), to: path, option: "types")
        print("wrote \(name)")
    }
}
