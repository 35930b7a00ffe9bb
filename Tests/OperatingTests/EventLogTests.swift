import Operating
import Records
import Testing
import Threads

@Suite struct EventLogTests {
    private func log(
        _ format: EventLog.Format = .text, least: LogLevel = .info
    ) -> (log: EventLog, written: () -> String) {
        let written = Locked("")
        let log = EventLog(
            format, least: least, clock: { "NOW" },
            output: { text in written.withLock { $0 += text } })
        return (log, { written.withLock { $0 } })
    }

    @Test func `lines have a time and a level, which the first word of what is told says`() {
        let (log, written) = log()
        log.take("shape: hello\n")
        log.take("warning: a disk is slow\n")
        log.take("error: it is gone\n  with a second line\n")
        log.write(.debug, nil, "nobody asked")
        #expect(
            written() == """
                NOW info    shape: hello
                NOW warning a disk is slow
                NOW error   it is gone
                  with a second line

                """)
    }

    @Test func `a level leaves out what matters less`() {
        let (log, written) = log(least: .warning)
        log.take("shape: hello\n")
        log.write(.info, "ready", "ready")
        log.take("warning: a disk is slow\n")
        #expect(written() == "NOW warning a disk is slow\n")
    }

    @Test func `programs get one object per line, whatever the text holds`() throws {
        let (log, written) = log(.json)
        log.write(.info, "stopped", "two\nlines \"quoted\"", [Field("read", .integer(5))])
        log.take("warning: x\n")
        let lines = try written().split(separator: "\n").map { try Record(json: String($0)) }
        #expect(
            lines == [
                [
                    "time": "NOW", "level": "info", "event": "stopped",
                    "message": "two\nlines \"quoted\"", "read": 5,
                ], ["time": "NOW", "level": "warning", "message": "x"],
            ])
    }

    @Test func `a line goes above the one at the bottom, never over it`() {
        let (log, written) = log()
        let wipe = "\r\u{1B}[K"
        log.show("read 1")
        log.show("read 1")
        log.take("hello\n")
        log.show("")
        log.take("bye\n")
        #expect(
            written() == "\(wipe)read 1\(wipe)NOW info    hello\nread 1\(wipe)NOW info    bye\n")
    }
}
