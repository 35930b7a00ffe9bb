import Connecting
import Testing

@Suite struct RenderingTests {
    private func finding(_ line: Int, _ column: Int, _ message: String = "m") -> Diagnostic {
        Diagnostic(at: Location(file: "f", line: line, column: column), message)
    }

    @Test func `the caret stands under its column behind tabs, and control characters are shown`() {
        let text = render([finding(1, 3)]) { _, _ in "\t\u{1B}x\r" }
        #expect(text == "error: m\n --> f:1:3\n1 | \t\u{FFFD}x\n  | \t ^")
    }

    @Test func `a place far to the right is cut out of its line`() {
        let line = String(repeating: "a", count: 500) + "b" + String(repeating: "c", count: 500)
        let lines = render([finding(1, 501)]) { _, _ in line }.split(separator: "\n")
        #expect(lines[2].count < 170)
        #expect(Array(lines[2])[lines[3].count - 1] == "b")
    }

    @Test func `findings are shown in the order of the file, and the rest is counted`() {
        let screen = render((1...20).reversed().map { finding($0, 1) }) { _, _ in "x" }
        let lines = screen.split(separator: "\n")
        #expect(lines[1] == " --> f:1:1")
        #expect(lines.last == "… and 12 more")
        #expect(lines.count <= 40)
    }

    @Test func `a column behind the end of the line is no crash`() {
        #expect(render([finding(1, 99)]) { _, _ in "ab" }.hasSuffix("1 | ab\n  |   ^"))
        #expect(render([finding(1, 0)]) { _, _ in "" }.hasSuffix("1 | \n  | ^"))
    }

    @Test func `a finding is one line of JSON`() {
        let warning = Diagnostic(
            .warning, at: Location(file: "rules/a.lua", line: 2, column: 7), "a \"b\"\\\n\t\u{1}ü")
        #expect(
            warning.json
                == #"{"file":"rules/a.lua","line":2,"column":7,"severity":"warning","#
                + #""message":"a \"b\"\\\n\t\u0001ü"}"#)
    }

    @Test(
        arguments: [
            ("pth", "path"), ("di", "id"), ("ptah", "path"), ("partitoins", "partitions"),
            ("out_of_orderness", nil),
            ("a", nil), ("paths", "path"), ("comitt", "commit"),
        ] as [(String, String?)])
    func `a misspelt name is guessed`(name: String, meant: String?) {
        #expect(closest(to: name, among: ["path", "partitions", "commit", "id"]) == meant)
    }
}
