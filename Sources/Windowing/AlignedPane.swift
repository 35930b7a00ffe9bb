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
}
