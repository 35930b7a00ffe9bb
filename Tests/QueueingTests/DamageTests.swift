import Journal
import TestKit
import Testing

@testable import Queueing

/// A message whose bytes have changed on the disk is dead by itself; nobody else hears of it.
@Suite struct DamageTests {
    private static let path = "store/journal/00000001.seg"

    /// Changes a byte in the payload of a message.
    private func damage(_ payload: String, _ bench: Bench) throws {
        try bench.store.waitUntilDurable(bench.store.appendedSequence)
        var bytes = try #require(bench.disk.bytes(Self.path))
        let text = Array(payload.utf8)
        let place = try #require(
            bytes.indices.first { bytes[$0...].starts(with: text) }, "\(payload) is not there")
        bytes[place] ^= 1
        bench.disk.replace(Self.path, with: bytes)
    }

    @Test(arguments: [[4], [0], [9], [0, 9], [3, 4, 5], Array(0..<10)])
    func `a damaged message is dead, the others are delivered`(damaged: [Int]) throws {
        let bench = try Bench()
        for index in 0..<10 { try bench.publish("payload-\(index)-of-ten") }
        for index in damaged { try damage("payload-\(index)-of-ten", bench) }
        let found = try bench.payloads(20)
        let sound = (0..<10).filter { !damaged.contains($0) }.map { "payload-\($0)-of-ten" }
        #expect(found == sound)
        #expect(try bench.counts() == [0, 0, sound.count, 0])
        let dead = try bench.receive(20, from: "jobs.dead")
        #expect(dead.count == damaged.count)
        #expect(dead.allSatisfy { $0.isDamaged && $0.history?.reason == "damaged" })
    }

    @Test func `a damaged message among others can be looked at`() throws {
        let bench = try Bench()
        for index in 0..<3 { try bench.publish("payload-\(index)-of-three") }
        try damage("payload-1-of-three", bench)
        let found = try bench.store.peek(try bench.store.queue("jobs"), max: 9)
        #expect(found.map(\.isDamaged) == [false, true, false])
        #expect(found[1].payload.isEmpty && found[2].text == "payload-2-of-three")
    }
}
