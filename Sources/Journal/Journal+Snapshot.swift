extension Journal {
    /// Keeps the owner's state as of transaction `sequence`: waits until the log is durable so far,
    /// then writes what `fill` gives, on this thread, while others append. One at a time. Throws
    /// the disk's reason; the older snapshots stay then, and the journal goes on.
    public func snapshot(
        at sequence: UInt64,
        _ fill: (inout SnapshotWriter<Place.Handle>) throws(JournalError) -> Void
    ) throws(JournalError) {
        // The state names places in the log, so these must be there before it is.
        try waitUntilDurable(sequence)
        try snapshotFolder().write(sequence, fill)
    }

    /// Removes segments that both snapshots cover and where nothing the owner still needs lies;
    /// returns how many. `live` holds the numbers of the segments it needs. Not during a copy.
    public func freeSegments(live: Set<UInt32>) throws(JournalError) -> Int {
        try withWriter { writer throws(JournalError) in try writer.freeSegments(live: live) }
    }

    private func snapshotFolder() throws(JournalError) -> SnapshotFolder<Place> {
        try withWriter { writer throws(JournalError) in
            SnapshotFolder(disk: writer.disk, layout: writer.layout, store: writer.store)
        }
    }
}
