import TestKit
import Testing

@testable import Windowing

struct KeyTableTests {
    /// Keys of very different lengths, with hashes that often meet in the same slot.
    private func key(_ number: Int) -> [UInt8] {
        Array((String(repeating: "k", count: number % 23) + "\(number)").utf8)
    }

    private func find(_ table: KeyTable, _ number: Int) -> Int {
        key(number).withSlice { table.find($0, KeyTable.tag($0)) }
    }

    @Test func `it agrees with a dictionary through growth, removal and compacting`() {
        var random = SeededRandom(seed: 6)
        let table = KeyTable(width: 2)
        var model: [Int: Int] = [:]
        for _ in 0..<60_000 {
            let number = Int.random(in: 0..<9000, using: &random)
            let known = find(table, number)
            #expect(known == model[number] ?? -1)
            if known >= 0, Bool.random(using: &random) {
                table.remove(known)
                model[number] = nil
            } else if known < 0 {
                let entry = key(number).withSlice { table.insert($0, KeyTable.tag($0)) }
                table.words(entry)[1] = UInt64(number)
                model[number] = entry
            }
            if table.wantsCompacting {
                var moved: [Int: Int] = [:]
                table.compact { moved[$0] = $1 }
                model = model.mapValues { moved[$0] ?? -1 }
            }
        }
        #expect(table.count == model.count)
        for (number, entry) in model {
            #expect(find(table, number) == entry && table.words(entry)[1] == UInt64(number))
            #expect(key(number).withSlice { table.key(entry).equals($0) })
        }
    }

    @Test func `large memory keeps its content when it grows and shrinks`() {
        let some = 3 << 18
        var slab = SlabMemory.zeros(UInt64.self, some)
        for index in stride(from: 0, to: some, by: 97) {
            #expect(slab[index] == 0)
            slab[index] = UInt64(index)
        }
        var room = some
        for next in [some * 3, some * 5, some, some / 64, some * 2] {
            slab = SlabMemory.resize(slab, from: room, to: next)
            room = next
            for index in stride(from: 0, to: some / 64, by: 97) {
                #expect(slab[index] == UInt64(index))
            }
        }
        SlabMemory.release(slab, room)
    }

    @Test func `numbers are written short and read back the same`() {
        var random = SeededRandom(seed: 7)
        var out = TextBuffer()
        for digits in 0..<10 {
            for _ in 0..<200 {
                var scale = 1.0
                for _ in 0..<digits { scale *= 10 }
                let sign = Bool.random(using: &random) ? 1.0 : -1.0
                let whole = Int64.random(in: 0..<10_000_000_000, using: &random)
                let number = sign * Double(whole) / scale
                out.removeAll()
                out.append(number: number)
                let text = String(decoding: out.bytes.array, as: UTF8.self)
                #expect(Double(text) == number)
                #expect(text.utf8.count <= number.description.utf8.count, "\(text)")
            }
        }
    }
}
