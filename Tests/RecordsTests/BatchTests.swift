import Records
import TestKit
import Testing

@Suite struct BatchTests {
    @Test func `an emptied batch forgets its records and keeps its source`() {
        let batch = Batch()
        #expect(batch.isEmpty)
        batch.source = "orders"
        batch.position = 7
        batch.line = 3
        batch.bytes.append(contentsOf: "{}\n".utf8)
        #expect(!batch.isEmpty)
        batch.removeAll()
        #expect(batch.isEmpty && batch.position == 0 && batch.line == 1)
        #expect(batch.source == "orders")
    }

    @Test func `a batch with a malformed record only is not empty`() {
        let batch = Batch()
        batch.originals.append(contentsOf: "?bad".utf8)
        batch.entries.append(
            Batch.Entry(
                text: 0..<0, original: 0..<1, problem: 1..<4, position: 0, line: 1,
                originalLength: 1))
        #expect(!batch.isEmpty)
        batch.removeAll()
        #expect(batch.isEmpty && batch.originals.isEmpty)
    }

    @Test func `a byte buffer holds what an array would hold after random changes`() {
        var random = SeededRandom(seed: 41)
        var buffer = ByteBuffer()
        var model: [UInt8] = []
        for _ in 0..<2000 {
            let byte = UInt8.random(in: 0...255, using: &random)
            let length = Int.random(in: 0...model.count, using: &random)
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                buffer.removeFirst(length)
                model.removeFirst(length)
            case 1:
                buffer.truncate(to: length)
                model.removeLast(model.count - length)
            case 2..<6:
                let run = [UInt8](repeating: byte, count: Int(byte))
                unsafe run.withUnsafeBytes { unsafe buffer.append($0) }
                model += run
            case 6..<10:
                let written = unsafe buffer.appendUnsafely(limit: 9) { room in
                    unsafe room.copyBytes(from: [byte, byte])
                    return 2
                }
                #expect(written == 2)
                model += [byte, byte]
            default:
                buffer.append(byte)
                model.append(byte)
            }
            #expect(buffer.count == model.count && buffer.capacity >= buffer.count)
        }
        #expect(unsafe buffer.withUnsafeBytes { unsafe Array($0) } == model, "\(random)")
    }
}
