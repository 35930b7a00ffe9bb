internal import Scripting

/// Rows of several lanes for one sink, put back into the order of their records.
final class MergedOutput {
    private let buffer = OutputBuffer()

    /// Empties the buffers of one batch into one, in the order in which a single lane would have
    /// written their rows. The result holds until the next call.
    func merge(_ parts: [OutputBuffer]) -> OutputBuffer {
        let filled = parts.filter { $0.rows > 0 }
        guard filled.count > 1 else { return filled.first ?? buffer }
        buffer.removeAll()
        let marks = filled.map(\.marks)
        var next = filled.map { _ in 0 }
        while let part = first(of: marks, next) {
            append(filled[part], marks[part], next[part])
            next[part] += 1
        }
        for part in filled { part.removeAll() }
        return buffer
    }

    /// The part whose next rows come first.
    private func first(of marks: [[RowMark]], _ next: [Int]) -> Int? {
        var best: Int?
        for part in marks.indices where next[part] < marks[part].count {
            guard let known = best else {
                best = part
                continue
            }
            if marks[part][next[part]] < marks[known][next[known]] { best = part }
        }
        return best
    }

    private func append(_ part: OutputBuffer, _ marks: [RowMark], _ index: Int) {
        let start = index > 0 ? marks[index - 1].end : 0
        let rows = marks[index].rows - (index > 0 ? marks[index - 1].rows : 0)
        unsafe part.withUnsafeBytes { bytes in
            unsafe buffer.append(
                UnsafeRawBufferPointer(rebasing: bytes[start..<marks[index].end]), rows: rows)
        }
    }
}
