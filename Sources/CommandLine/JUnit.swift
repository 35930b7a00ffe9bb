internal import Connecting
internal import Engine
internal import Trials

/// The results of tests as JUnit XML, one suite per test file.
enum JUnit {
    static func text(of report: RuleTestReport) -> [UInt8] {
        var files: [String] = []
        for file in report.results.map(\.location.file) + report.findings.map(\.location.file)
        where !files.contains(file) {
            files.append(file)
        }
        let failures = report.failed.count { $0.failure?.isLoadError == false }
        let errors = report.failed.count - failures + report.findings.count
        var lines = [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<testsuites name=\"tidewheel\" tests=\"\(report.results.count)\" "
                + "failures=\"\(failures)\" errors=\"\(errors)\" time=\"\(time(report.seconds))\">",
        ]
        for file in files { lines += suite(file, report) }
        lines.append("</testsuites>")
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private static func suite(_ file: String, _ report: RuleTestReport) -> [String] {
        let results = report.results.filter { $0.location.file == file }
        let findings = report.findings.filter { $0.location.file == file }
        let failures = results.count { $0.failure?.isLoadError == false }
        let errors = results.count { $0.failure?.isLoadError == true } + findings.count
        let seconds = results.map(\.seconds).reduce(0, +)
        var lines = [
            "  <testsuite name=\"\(escape(file))\" tests=\"\(results.count)\" "
                + "failures=\"\(failures)\" errors=\"\(errors)\" time=\"\(time(seconds))\">"
        ]
        for finding in findings {
            let text = "\(finding.location): \(finding.message)"
            lines.append("    <system-err>\(escape(text))</system-err>")
        }
        for result in results { lines += testCase(result) }
        return lines + ["  </testsuite>"]
    }

    private static func testCase(_ result: RuleTestResult) -> [String] {
        let head =
            "    <testcase classname=\"\(escape(result.rule))\" name=\"\(escape(result.name))\" "
            + "file=\"\(escape(result.location.file))\" line=\"\(result.location.line)\" "
            + "time=\"\(time(result.seconds))\""
        guard let failure = result.failure else { return [head + "/>"] }
        let problems = failure.errors.map(\.text) + failure.differences.map(\.text)
        let kind = failure.isLoadError ? "error" : "failure"
        let text = (problems + failure.inputs.prefix(5).map { "in: \($0)" })
            .joined(separator: "\n")
        let message = "message=\"\(escape(problems.first ?? ""))\""
        return [
            head + ">", "      <\(kind) \(message)>\(escape(text))</\(kind)>",
            "    </testcase>",
        ]
    }

    /// Seconds with six digits behind the point, never with an exponent.
    private static func time(_ seconds: Double) -> String {
        let microseconds = Int(seconds * 1e6)
        let digits = String(microseconds % 1_000_000)
        let zeros = String(repeating: "0", count: 6 - digits.count)
        return "\(microseconds / 1_000_000).\(zeros)\(digits)"
    }

    /// What XML can hold: control characters have no place in it, not even escaped.
    private static func escape(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;".unicodeScalars
            case "<": result += "&lt;".unicodeScalars
            case ">": result += "&gt;".unicodeScalars
            case "\"": result += "&quot;".unicodeScalars
            case "\n": result += "&#10;".unicodeScalars
            case "\t": result += "&#9;".unicodeScalars
            case "\0"..<" ", "\u{FFFE}", "\u{FFFF}": result.append("\u{FFFD}")
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}
