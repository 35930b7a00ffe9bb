import TestKit
import Testing

@Suite struct RunProcessTests {
    @Test func `output, errors and status are captured`() throws {
        let finished = try RunProcess.run("/bin/sh", ["-c", "echo out; echo err >&2; exit 7"])
        #expect(finished.outputText == "out\n")
        #expect(finished.errorText == "err\n")
        #expect(finished.status == 7)
        #expect(finished.signal == nil && !finished.isTimedOut)
    }

    @Test func `more input than a pipe holds goes in while the output comes out`() throws {
        let input = [UInt8](repeating: 0x78, count: 1_000_000)
        #expect(try RunProcess.run("cat", input: input).output == input)
    }

    @Test func `a child that does not read its input does no harm`() throws {
        let input = [UInt8](repeating: 0x78, count: 1_000_000)
        let finished = try RunProcess.run("true", input: input)
        #expect(finished.status == 0)
    }

    @Test func `a given environment replaces the own one`() throws {
        let finished = try RunProcess.run("/usr/bin/env", environment: ["A": "1", "B": "x y"])
        #expect(finished.outputText == "A=1\nB=x y\n")
        #expect(try RunProcess.run("/usr/bin/env").outputText.contains("PATH="))
    }

    @Test func `a program runs in the folder it is given`() throws {
        let folder = TemporaryFolder()
        folder.write("here", to: "a b/file")
        let finished = try RunProcess.run("cat", ["file"], folder: folder("a b"))
        #expect(finished.outputText == "here")
        #expect(throws: RunProcess.Failure.self) {
            try RunProcess.run("true", folder: folder("no"))
        }
    }

    @Test func `arguments arrive as they are`() throws {
        let folder = TemporaryFolder()
        let arguments = ["%s|", "", "a b", "$HOME", "\"", "é"]
        #expect(try RunProcess.run("printf", arguments).outputText == "|a b|$HOME|\"|é|")
        #expect(
            try RunProcess.run("printf", arguments, folder: folder.path).outputText
                == "|a b|$HOME|\"|é|")
    }

    @Test func `a program that hangs is killed when its time is over`() throws {
        let began = ContinuousClock.now
        let finished = try RunProcess.run("sleep", ["30"], timeoutMilliseconds: 50)
        #expect(finished.isTimedOut && finished.signal == 9 && finished.status == nil)
        #expect(ContinuousClock.now - began < .seconds(10))
    }

    @Test func `what a program leaves running is not waited for`() throws {
        let began = ContinuousClock.now
        let finished = try RunProcess.run("/bin/sh", ["-c", "sleep 20 & echo $!"])
        #expect(finished.status == 0)
        #expect(ContinuousClock.now - began < .seconds(10))
        let left = finished.outputText.split(separator: "\n").map(String.init)
        #expect(try RunProcess.run("/bin/sh", ["-c", "kill \"$0\""] + left).status == 0)
    }

    @Test func `a signal is told from a status`() throws {
        let finished = try RunProcess.run("/bin/sh", ["-c", "kill -TERM $$"])
        #expect(finished.signal == 15 && finished.status == nil && !finished.isTimedOut)
    }

    @Test func `a program that does not exist is an error that names it`() {
        let failure = #expect(throws: RunProcess.Failure.self) {
            try RunProcess.run("/nowhere/program")
        }
        #expect(failure?.description == "cannot run /nowhere/program: No such file or directory")
    }

    @Test func `runs side by side do not hold each other's pipes`() async throws {
        let outputs = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<8 {
                group.addTask {
                    try RunProcess.run("cat", input: Array("\(number)".utf8)).outputText
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outputs.sorted() == (0..<8).map(String.init))
    }
}
