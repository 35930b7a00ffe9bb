import TestKit
import Testing

@testable import Threads

@Suite(.timeLimit(.minutes(30))) struct ChannelTests {
    @Test func `a full channel makes the sender wait until there is room`() {
        let channel = Channel<Int>(capacity: 3)
        let sent = Counter()
        let ended = Channel<Void>(capacity: 1)
        WorkerThread {
            for number in 0..<10 where channel.send(number) { sent.add() }
            ended.close()
        }.detach()
        while sent.value < 3 { _ = ended.receive(milliseconds: 1) }
        _ = ended.receive(milliseconds: 20)
        #expect(sent.value == 3)
        #expect((0..<10).map { _ in channel.receive() } == Array(0..<10))
        _ = ended.receive()
        #expect(sent.value == 10)
    }

    @Test func `closing wakes a sender, which is told that nothing was taken`() {
        let channel = Channel<Int>(capacity: 1)
        channel.send(1)
        let answer = Channel<Bool>(capacity: 1)
        WorkerThread { answer.send(channel.send(2)) }.detach()
        _ = answer.receive(milliseconds: 10)
        channel.close()
        #expect(answer.receive() == false)
        #expect(channel.receive() == 1)
        #expect(channel.receive() == nil)
    }

    @Test func `closing wakes every receiver`() {
        let channel = Channel<Int>(capacity: 1)
        let answers = Channel<Bool>(capacity: 4)
        for _ in 0..<4 { WorkerThread { answers.send(channel.receive() == nil) }.detach() }
        _ = answers.receive(milliseconds: 10)
        channel.close()
        for _ in 0..<4 { #expect(answers.receive() == true) }
    }

    @Test func `waiting for a time ends without an element, and does not mean the end`() {
        let channel = Channel<Int>(capacity: 1)
        let before = monotonicNanoseconds()
        #expect(channel.receive(milliseconds: 5) == nil)
        #expect(monotonicNanoseconds() - before >= 4_000_000)
        #expect(!channel.isFinished)
        #expect(channel.tryReceive() == nil)
        channel.send(7)
        #expect(channel.receive(milliseconds: 1000) == 7)
    }

    /// Moving all that wait up for each one taken would pass the suite's time limit.
    @Test func `a million wait as cheaply as one, and come in order`() {
        let channel = Channel<Int>(capacity: .max)
        var random = SeededRandom(seed: 12)
        var sent = 0
        var received = 0
        while sent < 1_000_000 {
            channel.send(sent)
            sent += 1
            // Some are taken on the way, also all of them.
            let most = sent % 1000 > 0 ? 0 : sent < 20_000 ? 2000 : 50
            for _ in 0..<Int.random(in: 0...most, using: &random) {
                guard let element = channel.tryReceive() else { break }
                #expect(element == received)
                received += 1
            }
        }
        channel.close()
        var isInOrder = true
        while let element = channel.receive() {
            isInOrder = isInOrder && element == received
            received += 1
        }
        #expect(isInOrder && received == sent && channel.isFinished, "\(random)")
    }

    @Test func `many senders and receivers lose nothing and see nothing twice`() {
        var random = SeededRandom(seed: 11)
        for round in 0..<5 {
            let channel = Channel<Int>(capacity: Int.random(in: 1...5, using: &random))
            let senders = Int.random(in: 1...4, using: &random)
            let left = Counter()
            let results = Channel<[Int]>(capacity: 3)
            for sender in 0..<senders {
                WorkerThread {
                    for number in 0..<500 { channel.send(sender * 500 + number) }
                    if left.add() == senders { channel.close() }
                }.detach()
            }
            for _ in 0..<3 {
                WorkerThread {
                    var taken: [Int] = []
                    while let number = channel.receive() { taken.append(number) }
                    results.send(taken)
                }.detach()
            }
            let all = (0..<3).flatMap { _ in results.receive() ?? [] }
            #expect(all.sorted() == Array(0..<(senders * 500)), "round \(round), \(random)")
        }
    }

    @Test func `a locked value loses no change of several threads`() {
        let value = Locked<[Int]>([])
        let done = Channel<Void>(capacity: 4)
        for _ in 0..<4 {
            WorkerThread {
                for number in 0..<1000 { value.withLock { $0.append(number) } }
                done.send(())
            }.detach()
        }
        for _ in 0..<4 { _ = done.receive() }
        #expect(value.withLock { $0.count } == 4000)
    }
}
