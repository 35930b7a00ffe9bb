import Foundation
import TestKit
import Testing

/// No file makes a command crash, hang or take long.
@Suite struct HostileFilesTests {
    /// CPU seconds of one command; a debug build is many times slower.
    private static let seconds = Tool.binary.contains("/debug/") ? "60" : "5"

    /// Runs a command with a limit of CPU time, and one of time in case that it waits for a pipe.
    private func run(_ arguments: String..., in folder: TemporaryFolder) throws -> Tool.Outcome {
        let script = "ulimit -c 0 -t \(Self.seconds); cd \"$0\"; exec timeout 300 \"$@\""
        return try Tool.run(
            arguments: ["-c", script, folder.path, Tool.binary] + arguments,
            executable: "/bin/bash")
    }

    private func check(_ hostile: HostileFolder) throws {
        let folder = hostile.make()
        defer { withExtendedLifetime(folder) {} }
        for command in [["lint"], ["test"], ["run", "--once"], ["explain", "in.jsonl:0"]] {
            let outcome = try run(
                command[0], command.count > 1 ? command[1] : ".", in: folder)
            #expect(
                outcome.status <= 3,
                "\(command[0]): \(outcome.status) \(outcome.errors.prefix(500))")
        }
    }

    @Test(arguments: HostileFolder.settings.indices)
    func `no settings and tests take long`(index: Int) throws {
        try check(HostileFolder.settings[index])
    }

    @Test(arguments: HostileFolder.scripts.indices)
    func `no script takes long`(index: Int) throws {
        try check(HostileFolder.scripts[index])
    }

    @Test(arguments: HostileFolder.schemas.indices)
    func `no schema takes long`(index: Int) throws {
        try check(HostileFolder.schemas[index])
    }

    @Test(arguments: HostileFolder.aggregates.indices)
    func `an aggregate that does not end is refused at once`(index: Int) throws {
        let hostile = HostileFolder.aggregates[index]
        let folder = hostile.make()
        let outcome = try run("run", "--once", in: folder)
        #expect(outcome.status == 2, "\(hostile.name): \(outcome.errors)")
        let isTold = ["time budget of", "memory limit of"].contains {
            outcome.errors.contains($0)
        }
        #expect(isTold, "\(hostile.name): \(outcome.errors)")
        #expect(outcome.errors.contains("rules/x.lua:"))
    }

    @Test(arguments: HostileFolder.pipes.indices)
    func `a pipe is refused by name`(index: Int) throws {
        let hostile = HostileFolder.pipes[index]
        let folder = hostile.make()
        for command in ["lint", "test", "run"] {
            let outcome = try run(command, in: folder)
            let isTest = hostile.pipes[0].hasSuffix(".test.yaml")
            #expect(outcome.status == (command == "lint" ? 1 : isTest && command == "run" ? 0 : 2))
            let isTold = (outcome.output + outcome.errors).contains("is a pipe (FIFO), not a file")
            #expect(isTold || (isTest && command == "run"), "\(outcome.output)\(outcome.errors)")
        }
    }
}
