import Synchronization
import Testing

@testable import Threads

@Suite(.timeLimit(.minutes(30))) struct WorkQueuesTests {
    @Test func `urgent tasks go first, then those of all, then a worker's own`() {
        let queues = WorkQueues<String>(workers: 2)
        queues.send("own", to: 0, isUrgent: false)
        queues.share("any")
        queues.send("urgent 1", to: 0, isUrgent: true)
        queues.send("urgent 2", to: 0, isUrgent: true)
        queues.send("other", to: 1, isUrgent: true)
        queues.close()
        queues.share("too late")
        queues.send("too late", to: 0, isUrgent: true)
        var taken: [String] = []
        while let task = queues.receive(worker: 0, milliseconds: nil) { taken.append(task) }
        #expect(taken == ["urgent 1", "urgent 2", "any", "own"])
        #expect(queues.isFinished(worker: 0) && !queues.isFinished(worker: 1))
        #expect(queues.receive(worker: 1, milliseconds: nil) == "other")
        #expect(queues.isFinished(worker: 1))
    }

    @Test func `nothing within the time is no end`() {
        let queues = WorkQueues<Int>(workers: 1)
        #expect(queues.receive(worker: 0, milliseconds: 1) == nil)
        #expect(!queues.isFinished(worker: 0))
        queues.share(1)
        #expect(queues.receive(worker: 0, milliseconds: 1) == 1)
    }

    @Test func `every task is taken once, whoever waits`() {
        let queues = WorkQueues<Int>(workers: 4)
        let sums = (0..<4).map { _ in Locked<[Int]>([]) }
        let ended = Channel<Void>(capacity: 4)
        for worker in 0..<4 {
            WorkerThread {
                while let task = queues.receive(worker: worker, milliseconds: nil) {
                    sums[worker].withLock { $0.append(task) }
                }
                ended.send(())
            }.detach()
        }
        for task in 0..<10_000 {
            switch task % 3 {
            case 0: queues.share(task)
            case 1: queues.send(task, to: task / 3 % 4, isUrgent: true)
            default: queues.send(task, to: task / 3 % 4, isUrgent: false)
            }
        }
        queues.close()
        for _ in 0..<4 { ended.receive() }
        let taken = sums.flatMap { $0.withLock { $0 } }
        #expect(taken.sorted() == Array(0..<10_000))
        for (worker, sum) in sums.enumerated() {
            let own = sum.withLock { $0 }.filter { $0 % 3 == 1 }
            #expect(own == own.sorted() && own.allSatisfy { $0 / 3 % 4 == worker })
        }
    }
}
