import ArgumentParser
internal import Connecting
internal import Definitions
internal import Engine
import Glibc
internal import Operating

/// `tidewheel types`: what an editor needs to complete and check rules.
struct TypesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "types",
        abstract: "Write stubs for the Lua language server: types/tidewheel.lua and .luarc.json.")

    @Argument(help: "The pipeline folder.")
    var folder = "."

    func run() throws {
        let stubs = TypeStubs(try loadRules(folder))
        if unsafe mkdir(folder + "/types", 0o777) != 0 && errno != EEXIST {
            let reason = unsafe String(cString: strerror(errno))
            throw CommandFailure(exitCode: 1, text: "error: \(folder)/types: \(reason)")
        }
        try write(stubs.stubs, to: "types/tidewheel.lua", mark: TypeStubs.mark)
        try write(stubs.settings, to: ".luarc.json", mark: "tidewheel types")
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
