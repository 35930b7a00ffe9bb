import Synchronization
import Testing
import Threads

@Suite struct NoticeDeskTests {
    @Test func `each kind is told once a second, with how often it was`() {
        let now = Atomic<UInt64>(1_000_000_000)
        let lines = Locked<[String]>([])
        let desk = NoticeDesk(
            clock: { now.load(ordering: .relaxed) },
            tell: { line in lines.withLock { $0.append(line) } })
        func told() -> [String] {
            lines.withLock { lines in
                defer { lines = [] }
                return lines
            }
        }
        for number in 1...100 { desk.note("jobs", "warning: jobs \(number)") }
        desk.note("mails", count: 3, "warning: mails")
        #expect(told() == ["warning: jobs 1\n", "warning: mails (and 2 more like it)\n"])
        now.store(2_000_000_001, ordering: .relaxed)
        desk.note("jobs", "warning: jobs 101")
        #expect(told().last == "warning: jobs 101 (and 99 more like it)\n")
        desk.note("jobs", "warning: jobs 102")
        desk.note("jobs", count: 0, "warning: nothing")
        #expect(told() == [])
        desk.finish()
        desk.finish()
        #expect(told() == ["warning: jobs 102\n"])
    }

    @Test func `what is the last for now is told as well`() {
        let lines = Channel<String>(capacity: 10)
        let desk = NoticeDesk { lines.send($0) }
        desk.note("jobs", "one")
        desk.note("jobs", "two")
        desk.note("jobs", "three")
        #expect(lines.receive(milliseconds: 10_000) == "one\n")
        #expect(lines.receive(milliseconds: 10_000) == "three (and 1 more like it)\n")
        desk.finish()
    }
}
