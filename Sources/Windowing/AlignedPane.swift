extension AlignedWindows {
    /// One window and its groups.
    final class Pane {
        let start: Int64
        let end: Int64
        let groups: KeyTable
        var hasFired = false
        /// Groups that have changed since their row was written.
        var changed: [UInt32] = []
        /// Groups that have changed since the journal asked.
        var dirty: [UInt32] = []

        init(_ start: Int64, _ end: Int64, width: Int) {
            self.start = start
            self.end = end
            groups = KeyTable(width: width)
        }
    }

    var isHopping: Bool {
        if case .hopping = definition.window { true } else { false }
    }

    /// False in the gaps between hopping windows that are shorter than their distance.
    func hasWindow(_ time: Int64) -> Bool {
        guard case .hopping(let size, let every, let offset) = definition.window else {
            return true
        }
        return floorModulo(time - offset, every) < size
    }

    /// All windows of a time, the earliest first.
    func forEachWindow(_ time: Int64, _ body: (_ start: Int64, _ end: Int64) -> Void) {
        guard case .hopping(let size, let every, let offset) = definition.window else {
            let (start, end) = bounds(time)
            return body(start, end)
        }
        let last = time - floorModulo(time - offset, every)
        var start = last - (size - 1) / every * every
        while start <= last {
            if start + size > time { body(start, start + size) }
            start += every
        }
    }
}
