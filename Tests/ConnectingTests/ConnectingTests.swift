import Connecting
import Testing

@Suite struct ConnectingTests {
    @Test(
        arguments: [
            ("500ms", 500_000_000), ("2s", 2_000_000_000), ("10m", 600_000_000_000),
            ("1d", 86_400_000_000_000),
            ("1 day", 86_400_000_000_000), ("0s", 0),
        ] as [(String, Int64)])
    func `durations`(text: String, nanoseconds: Int64) {
        #expect(parseDuration(text) == nanoseconds)
    }

    @Test(arguments: ["", "5", "ms", "-1s", "1.5s", "1 parsec", "99999999999999d"])
    func `what is no duration`(text: String) { #expect(parseDuration(text) == nil) }

    @Test(arguments: [("64MiB", 64 << 20), ("1GiB", 1 << 30), ("512B", 512)] as [(String, Int64)])
    func `sizes`(text: String, bytes: Int64) { #expect(parseByteSize(text) == bytes) }

    @Test func `a misspelt name finds the one that was meant`() {
        #expect(closest(to: "pth", among: ["path", "format"]) == "path")
        #expect(closest(to: "sorce", among: ["source", "sinks"]) == "source")
        #expect(closest(to: "zebra", among: ["source", "sinks"]) == nil)
    }

    @Test func `an error screen shows the line and a caret, and is never longer than a screen`() {
        let one = Diagnostic(at: Location(file: "pipeline.yaml", line: 2, column: 3), "unknown key")
        let text = render([one]) { _, line in line == 2 ? "  pth: x" : nil }
        #expect(text == "error: unknown key\n --> pipeline.yaml:2:3\n2 |   pth: x\n  |   ^")
        let many = (1...50).map { Diagnostic(at: Location(file: "f", line: $0, column: 1), "m") }
        let screen = render(many) { _, _ in "text" }
        #expect(screen.split(separator: "\n").count <= 40)
        #expect(screen.hasSuffix("more"))
    }
}
