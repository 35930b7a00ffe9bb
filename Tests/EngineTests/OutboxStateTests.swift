import TestKit
import Testing

@testable import Engine

/// What is committed of rows that were not delivered yet: as a value, without threads.
@Suite struct OutboxStateTests {
    /// Entries as commits write them, made at random, and what the sinks must then still get.
    private struct History {
        var entries: [(kind: StoreEntry.Kind, bytes: [UInt8])] = []
        var open: [String: [OutboxChunk]] = ["a": [], "b/c": []]
        var next: [String: UInt64] = ["a": 1, "b/c": 1]

        init(_ count: Int, _ random: inout SeededRandom) {
            for _ in 0..<count { commit(&random) }
        }

        mutating func commit(_ random: inout SeededRandom) {
            let sink = Bool.random(using: &random) ? "a" : "b/c"
            let rows = open[sink] ?? []
            // How far delivery has come when the commit is made: at the end of a chunk.
            if !rows.isEmpty, Bool.random(using: &random) {
                let done = Int.random(in: 1...rows.count, using: &random)
                let note = OutboxTable.encode([(sink, rows[done - 1].end)])
                entries.append((.delivered, note))
                open[sink] = Array(rows.dropFirst(done))
            }
            let count = Int.random(in: 1...4, using: &random)
            let text = (0..<count).map { "{\"n\":\($0),\"of\":\(entries.count)}\n" }.joined()
            let chunk = OutboxChunk(
                pipeline: "p\(entries.count % 2)", sink: sink, first: next[sink] ?? 0,
                count: count, rows: Array(text.utf8))
            var bytes: [UInt8] = []
            chunk.encode(to: &bytes)
            entries.append((.outbox, bytes))
            open[sink, default: []].append(chunk)
            next[sink] = chunk.end
        }

        func check(_ state: PipelineState, _ random: SeededRandom) {
            for (sink, chunks) in open {
                let found = state.outbox.sinks[sink] ?? OutboxState()
                #expect(found.chunks == chunks, "\(random) \(sink)")
                #expect(found.next == next[sink], "\(random) \(sink)")
            }
        }
    }

    private static func apply(
        _ entries: some Sequence<(kind: StoreEntry.Kind, bytes: [UInt8])>, to state: PipelineState
    ) {
        for (kind, bytes) in entries {
            let isKnown = state.apply(kind.rawValue, bytes.span.bytes)
            #expect(isKnown)
        }
    }

    private static func snapshot(_ state: PipelineState) -> PipelineState {
        let copy = PipelineState()
        var place: SnapshotPlace? = .beginning
        while let start = place {
            place = state.snapshotSlice(from: start) { kind, bytes in
                copy.apply(kind.rawValue, bytes.span.bytes)
            }
        }
        return copy
    }

    @Test(arguments: 1...20)
    func `a start finds what was committed and not noted as delivered`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let history = History(40, &random)
        let state = PipelineState()
        Self.apply(history.entries, to: state)
        history.check(state, random)
        history.check(Self.snapshot(state), random)
    }

    @Test(arguments: 1...20)
    func `frames that a snapshot has seen already change nothing`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let history = History(40, &random)
        let state = PipelineState()
        Self.apply(history.entries, to: state)
        let copy = Self.snapshot(state)
        // A snapshot may be newer than the frame from which a start replays.
        Self.apply(history.entries.suffix(Int.random(in: 0...60, using: &random)), to: copy)
        history.check(copy, random)
    }

    @Test func `numbers go on when everything is delivered`() {
        var state = OutboxState()
        state.add(OutboxChunk(pipeline: "p", sink: "s", first: 1, count: 3, rows: []))
        state.note(deliveredBefore: 4)
        #expect(state.chunks.isEmpty && state.next == 4)
        // Rows whose delivery is noted beforehand are never written down.
        state.note(deliveredBefore: 9)
        #expect(state.next == 9)
        state.note(deliveredBefore: 2)
        #expect(state.next == 9 && state.delivered == 9, "an older note takes nothing back")
    }

    @Test func `without its note, a delivered row would be seen to come again`() {
        var random = SeededRandom(seed: 3)
        let history = History(40, &random)
        let notes = history.entries.filter { $0.kind == .delivered }
        #expect(!notes.isEmpty)
        let state = PipelineState()
        Self.apply(history.entries.filter { $0.kind == .outbox }, to: state)
        #expect(state.outbox.sinks["a"]?.chunks != history.open["a"])
    }

    @Test func `broken entries are left out`() {
        let state = PipelineState()
        var bytes: [UInt8] = []
        StoreEntry.add(Array("no pipeline".utf8), Array(repeating: 0, count: 16), to: &bytes)
        StoreEntry.add(Array("s\0p".utf8), [1, 2, 3], to: &bytes)
        Self.apply([(.outbox, bytes), (.delivered, bytes)], to: state)
        #expect(state.outbox.sinks.values.allSatisfy { $0.chunks.isEmpty })
    }
}
