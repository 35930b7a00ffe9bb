import ArgumentParser
internal import Connecting
import Connectors
internal import Definitions
internal import Engine
import Glibc
internal import Operating
import Scripting
internal import Threads
internal import Trials

/// `tidewheel test`: runs the tests of the rules.
struct TestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Run the tests of the rules: rules/*.test.yaml.")

    @OptionGroup var place: ReadFolder
    @Option(name: [.customShort("k")], help: "Run only tests whose name contains this text.")
    var only: String?
    @Flag(help: "Run them again whenever a file of the folder changes.")
    var watch = false
    @Flag(help: "Write what came out into the test files as what is expected.")
    var update = false
    @Option(help: "Write the results as JUnit XML to this file.")
    var junit: String?
    @Flag(help: "Tell which lines of the rules ran.")
    var coverage = false
    @Option(help: "text for people, json for programs: one object per test.")
    var format = OutputFormat.text

    private var folder: String { place.name }

    func run() throws {
        // Taken before the run, so that a change meanwhile is not missed.
        var files = FolderState(folder)
        var code = try runOnce()
        while watch {
            while FolderState(folder) == files { pause(milliseconds: 50) }
            files = FolderState(folder)
            writeError("")
            code = try runOnce()
            // What --update writes is no change of its own.
            if update { files = FolderState(folder) }
        }
        if code != 0 { throw CommandFailure(exitCode: code, text: "") }
    }

    /// Runs every test; in a watch a folder that cannot be read is only reported.
    private func runOnce() throws -> Int32 {
        let plan: Plan
        do {
            plan = try loadRules(folder)
        } catch let failure as CommandFailure where watch {
            writeError(failure.text)
            return failure.exitCode
        }
        let files = RuleTests.files(in: folder)
        var tests = RuleTests(plan, files: files)
        tests.filter = only
        tests.measuresCoverage = coverage
        var report = tests.run()
        if update, try writeUpdates(of: report, plan, files) {
            report = RuleTests.run(
                plan, files: RuleTests.files(in: folder), filter: only,
                measuresCoverage: coverage)
        }
        if let junit { try writeFile(JUnit.text(of: report), to: junit, option: "--junit") }
        show(report, files: files.count)
        if !report.findings.isEmpty { return 2 }
        return report.failed.isEmpty ? 0 : 1
    }

    private func show(_ report: RuleTestReport, files: Int) {
        if !report.findings.isEmpty { writeError(describe(report.findings, in: folder)) }
        switch format {
        case .json:
            for result in report.results { print(result.json) }
        case .text:
            let rendering = TestRendering(report: report, folder: folder)
            print(rendering.text, terminator: "")
        }
        guard report.results.isEmpty, report.findings.isEmpty else { return flush() }
        if let only, report.skipped > 0 {
            writeError("no name of the \(report.skipped) tests contains \"\(only)\"")
        } else if files == 0 {
            writeError("no tests: rules/NAME.test.yaml holds the tests of rules/NAME.lua")
        }
        flush()
    }

    private func flush() { fflush(nil) }

    /// Puts what came out into the files; true when something changed.
    private func writeUpdates(
        of report: RuleTestReport, _ plan: Plan, _ files: [RuleSet.File]
    ) throws -> Bool {
        var isChanged = false
        for file in RuleTests.updated(files, plan, filter: only) {
            try writeFile(file.bytes, to: folder + "/" + file.path, option: "--update")
            writeError("updated \(file.path)")
            isChanged = true
        }
        return isChanged
    }
}

/// How a command prints its answer.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable { case text, json }

/// Reads the rules of a folder, but opens no source and no sink; a folder without `pipeline.yaml`
/// is taken as one with the usual settings.
func loadRules(_ folder: String) throws -> Plan {
    do throws(DiagnosticList) {
        return try rulesPlan(in: folder, catalogue: .checking)
    } catch {
        throw CommandFailure(exitCode: 2, text: describe(error.findings, in: folder))
    }
}

extension Catalogue {
    /// What a folder may name when it is only looked at: also the source of embedding programs.
    static var checking: Catalogue {
        var catalogue = Catalogue.standard
        catalogue.sources.append(
            .ingest { (_) throws(ConnectorError) in
                throw ConnectorError("only a program that embeds the engine can ingest records")
            })
        return catalogue
    }
}

/// Writes a whole file, or says why not.
func writeFile(_ bytes: [UInt8], to path: String, option: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    defer { if descriptor >= 0 { close(descriptor) } }
    var rest = bytes[...]
    while descriptor >= 0, !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0 { break }
        rest = rest.dropFirst(count)
    }
    if descriptor >= 0, rest.isEmpty { return }
    let reason = unsafe String(cString: strerror(errno))
    throw CommandFailure(exitCode: 1, text: "error: \(path): \(reason) (\(option))")
}
