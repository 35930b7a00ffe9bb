import TestKit
import Testing

@Suite struct PseudoTerminalTests {
    @Test func `a program sees a terminal, and what is typed comes back`() throws {
        let terminal = try #require(
            PseudoTerminal(
                "/bin/sh", ["-c", "test -t 0 && echo ready && exec cat"], environment: [:]))
        #expect(terminal.wait(for: "ready"))
        terminal.type("words\n")
        #expect(terminal.wait(for: "words"))
        #expect(!terminal.wait(for: "never typed", milliseconds: 50))
        terminal.type("\u{4}")
        #expect(terminal.waitForEnd() == 0)
    }

    @Test func `Ctrl-C reaches the program`() throws {
        let terminal = try #require(
            PseudoTerminal(
                "/bin/sh", ["-c", "trap 'echo caught; exit 7' INT; echo ready; read line"],
                environment: [:]))
        #expect(terminal.wait(for: "ready"))
        terminal.type("\u{3}")
        #expect(terminal.wait(for: "caught"))
        #expect(terminal.waitForEnd() == 7)
    }
}
