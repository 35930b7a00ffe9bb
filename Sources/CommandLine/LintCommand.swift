import ArgumentParser
struct LintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "lint")
    func run() throws {} }
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bench")
    func run() throws {} }
