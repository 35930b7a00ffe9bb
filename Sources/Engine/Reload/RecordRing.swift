package import Records
internal import Scripting
internal import Threads

/// The last records as they were read, for trying a new version on. Filled by the thread that reads
/// or runs batches, looked at by the one that reloads.
package final class RecordRing: Sendable {
    /// Some records of one batch.
    package struct Chunk: Sendable {
        var bytes: [UInt8]
        var originals: [UInt8]
        var entries: [Batch.Entry]
        var source: String
        var sourceIndex: Int
        var file: String
        var position: UInt64
        var line: UInt64
        /// How many records it holds.
        package var count: Int
    }

    private struct State {
        var chunks: [Chunk] = []
        var count = 0
    }

    private let limit: Int
    private let state = Locked(State())

    init(limit: Int) { self.limit = limit }

    /// Remembers the last records of a batch.
    func note(_ batch: Batch) {
        guard limit > 0, !batch.isEmpty else { return }
        let chunk = batch.entries.isEmpty ? lines(of: batch) : entries(of: batch)
        guard let chunk else { return }
        state.withLock { state in
            state.chunks.append(chunk)
            state.count += chunk.count
            while let first = state.chunks.first, state.count - first.count >= limit {
                state.count -= first.count
                state.chunks.removeFirst()
            }
        }
    }

    /// The records, oldest first.
    package var chunks: [Chunk] { state.withLock { $0.chunks } }

    private func chunk(_ batch: Batch, _ bytes: [UInt8], count: Int) -> Chunk {
        Chunk(
            bytes: bytes, originals: [], entries: [], source: batch.source,
            sourceIndex: batch.sourceIndex, file: batch.file, position: batch.position,
            line: batch.line, count: count)
    }

    private func lines(of batch: Batch) -> Chunk? {
        unsafe batch.bytes.withUnsafeBytes { bytes -> Chunk? in
            let (start, count) = unsafe lastLines(of: bytes, limit: limit)
            guard count > 0 else { return nil }
            var result = chunk(batch, unsafe Array(bytes[start...]), count: count)
            result.position += UInt64(start)
            if start > 0 {
                let before = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<start])
                result.line += unsafe UInt64(newlineCount(of: before))
            }
            return result
        }
    }

    private func entries(of batch: Batch) -> Chunk? {
        let last = batch.entries.suffix(limit)
        guard !last.isEmpty else { return nil }
        var result = chunk(
            batch, unsafe batch.bytes.withUnsafeBytes { unsafe Array($0) }, count: last.count)
        result.originals = unsafe batch.originals.withUnsafeBytes { unsafe Array($0) }
        result.entries = Array(last)
        return result
    }
}

extension RecordRing.Chunk {
    /// One batch for each record.
    package func forEachRecord(_ body: (Batch) -> Void) {
        let batch = Batch()
        func begin() {
            batch.removeAll()
            batch.source = source
            batch.sourceIndex = sourceIndex
            batch.file = file
        }
        if entries.isEmpty {
            var start = 0
            var line = line
            while start < bytes.count {
                let end = bytes[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
                begin()
                batch.position = position + UInt64(start)
                batch.line = line
                batch.bytes.append(contentsOf: bytes[start..<end])
                body(batch)
                start = end
                line += 1
            }
            return
        }
        for entry in entries {
            begin()
            batch.add(entry, bytes: bytes, originals: originals)
            body(batch)
        }
    }
}

extension Batch {
    /// Adds an entry of another batch, with all that it points to.
    package func add(_ entry: Entry, bytes given: [UInt8], originals known: [UInt8]) {
        func keep(_ range: Range<Int>) -> Range<Int> {
            let start = originals.count
            originals.append(contentsOf: known[range])
            return start..<originals.count
        }
        var copy = entry
        let start = bytes.count
        bytes.append(contentsOf: given[entry.text])
        copy.text = start..<bytes.count
        copy.original = keep(entry.original)
        copy.problem = entry.problem.isEmpty ? 0..<0 : keep(entry.problem)
        copy.id = entry.id.isEmpty ? 0..<0 : keep(entry.id)
        copy.headers = entry.headers.isEmpty ? 0..<0 : keep(entry.headers)
        entries.append(copy)
    }
}
