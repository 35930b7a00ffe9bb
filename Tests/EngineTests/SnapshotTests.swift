import Scripting
import TestKit
import Testing

@testable import Engine

/// Snapshots that are taken while commits go on.
@Suite struct SnapshotTests {
    /// Changes of the windows of one stage, some of them removals.
    private func change(_ random: inout SeededRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        StoreEntry.add(Array("per_user".utf8), [], to: &bytes)
        for _ in 0..<Int.random(in: 1...400, using: &random) {
            let key = Array("key \(Int.random(in: 0..<20_000, using: &random))".utf8)
            let length = Int.random(in: -3...24, using: &random)
            let value = length < 0 ? nil : (0..<length).map { _ in UInt8.random(in: 0...255) }
            StoreEntry.add(key, value, to: &bytes)
        }
        return bytes
    }

    private func windows(_ state: PipelineState) -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        state.forEachWindow(of: "per_user") { key, value in
            #expect(found.updateValue(value, forKey: key) == nil, "twice: \(key)")
        }
        return found
    }

    @Test(arguments: 1...12)
    func `a snapshot between commits, and what came after its begin, are the state`(
        seed: UInt64
    ) {
        var random = SeededRandom(seed: seed)
        let kind = StoreEntry.Kind.windows.rawValue
        let state = PipelineState()
        for _ in 0..<200 { state.apply(kind, change(&random).span.bytes) }
        let copy = PipelineState()
        copy.beginRestoring()
        var later: [[UInt8]] = []
        var place: SnapshotPlace? = .beginning
        while let start = place {
            place = state.snapshotSlice(from: start) { kind, bytes in
                copy.apply(kind.rawValue, bytes.span.bytes)
            }
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                let bytes = change(&random)
                state.apply(kind, bytes.span.bytes)
                later.append(bytes)
            }
        }
        copy.endRestoring()
        // A control: without what came later it is another state.
        if !later.isEmpty { #expect(windows(copy) != windows(state), "seed \(seed)") }
        for bytes in later { copy.apply(kind, bytes.span.bytes) }
        #expect(windows(copy) == windows(state), "seed \(seed)")
        // And it goes on as one that was never restored.
        for _ in 0..<50 {
            let bytes = change(&random)
            state.apply(kind, bytes.span.bytes)
            copy.apply(kind, bytes.span.bytes)
        }
        #expect(windows(copy) == windows(state), "seed \(seed), later")
    }

    @Test func `a key that a snapshot names twice has its last value, once`() {
        var image = StateImage()
        image.beginRestoring()
        let prefix: [UInt8] = [1, 2, 3]
        for round in 0..<3 as Range<UInt8> {
            for number in 0..<3000 {
                let key = Array("key \(number)".utf8)
                image.put(prefix, key.span.bytes, [round, UInt8(number % 7)].span.bytes)
            }
        }
        image.endRestoring()
        let count = image.count
        #expect(count == 3000)
        var seen = 0
        var next: Int? = 0
        while let start = next {
            next = image.slice(from: start, limit: 100) { _, value in
                seen += 1
                #expect(value.byte(0) == 2)
            }
        }
        #expect(seen == 3000)
        image.remove(prefix, Array("key 5".utf8).span.bytes)
        let left = image.count
        #expect(left == 2999)
    }

    /// Changes of the state of a stage's rules, as a VM writes them.
    private func rulesChange(_ random: inout SeededRandom, removes: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...60, using: &random) {
            let isGone = removes && Int.random(in: 0..<4, using: &random) == 0
            let stage = Int.random(in: 0..<2, using: &random) == 0 ? "count" : "other"
            let key = Array("key \(Int.random(in: 0..<3000, using: &random))".utf8)
            let value =
                isGone ? [] : Array("i\(Int.random(in: 0..<(1 << 40), using: &random))".utf8)
            func put<Number: FixedWidthInteger>(_ number: Number) {
                withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
            }
            put(UInt8(0))
            put(UInt8(isGone ? 1 : 0))
            put(UInt16(stage.utf8.count))
            put(UInt32(key.count))
            put(UInt32(value.count))
            put(UInt32(key.count % 3))
            put(Int64.max)
            bytes += Array(stage.utf8) + key + value
        }
        return bytes
    }

    /// All entries of a stage, by their names.
    private func entries(_ state: PipelineState) -> [[[UInt8]]] {
        ["count", "other"].map { stage in
            var found: [[UInt8]] = []
            state.encodedRules(of: [stage]).withUnsafeBytes { bytes in
                EncodedStateChange.forEach(in: bytes.bytes) { change, _, _ in
                    found.append(change.array)
                }
            }
            return found.sorted { $0.lexicographicallyPrecedes($1) }
        }
    }

    @Test(arguments: 1...12)
    func `what a start puts off is there whenever it is asked for`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let kind = StoreEntry.Kind.rules.rawValue
        let plain = PipelineState()
        let lazy = PipelineState()
        lazy.beginRestoring(defersRules: true)
        func both(_ bytes: [UInt8]) {
            plain.apply(kind, bytes.span.bytes)
            lazy.apply(kind, bytes.span.bytes)
        }
        let hasSnapshot = seed % 3 != 0
        if hasSnapshot { for _ in 0..<40 { both(rulesChange(&random, removes: false)) } }
        lazy.endRestoring()
        for _ in 0..<Int.random(in: 0...30, using: &random) {
            both(rulesChange(&random, removes: true))
        }
        // Commits, with some time in between.
        for round in 0..<60 {
            both(rulesChange(&random, removes: true))
            for _ in 0..<Int.random(in: 0...3, using: &random) { _ = lazy.settleOne() }
            if Int.random(in: 0..<40, using: &random) == 0 {
                #expect(entries(lazy) == entries(plain), "seed \(seed), round \(round)")
            }
        }
        let wanted = entries(plain)
        #expect(wanted.allSatisfy { !$0.isEmpty })
        #expect(entries(lazy) == wanted, "seed \(seed)")
        #expect(!lazy.settleOne())
    }
}
