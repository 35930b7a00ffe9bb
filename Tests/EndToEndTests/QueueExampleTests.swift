import Foundation
import TestKit
import Testing

/// The examples of queues print what they promise.
@Suite struct QueueExampleTests {
    @Test(arguments: ["queue-requests", "scheduled-work"])
    func `an example prints what it promises`(name: String) throws {
        let folder = "\(Tool.root)/examples/\(name)"
        var environment = ProcessInfo.processInfo.environment
        environment["TIDEWHEEL_BINARY"] = Tool.binary
        let finished = try RunProcess.run("/bin/sh", [folder + "/run.sh"], environment: environment)
        let expected = try String(contentsOfFile: folder + "/expected/output.txt", encoding: .utf8)
        #expect(finished.errorText.isEmpty && finished.status == 0)
        #expect(finished.outputText == expected)
    }
}
