extension Journal {
    /// Begins a snapshot of the owner's state. What is written into it may be read from the owner
    /// bit by bit while others append, when every entry of the log is absolute: replay starts
    /// behind the last transaction there is now, or behind `begin`, which was the last one before
    /// the first piece was read. One at a time.
    public func beginSnapshot(
        behind begin: UInt64? = nil
    ) throws(JournalError) -> SnapshotWriter<Place.Handle> {
        try snapshotFolder().begin(begin ?? appendedSequence)
    }

    /// Ends a snapshot: waits until the log is durable as far as the pieces may reach, then puts it
    /// in place. Throws the disk's reason; the older snapshots stay then, and the journal goes on.
    public func finishSnapshot(
        _ writer: inout SnapshotWriter<Place.Handle>
    ) throws(JournalError) {
        let end = appendedSequence
        // The state names places in the log, so these must be there before it is.
        try waitUntilDurable(end)
        let manifest = try withWriter { $0.manifest }
        try snapshotFolder().finish(&writer, at: end, manifest)
        noteSnapshot()
    }

    /// Removes segments that both snapshots cover and where nothing the owner still needs lies;
    /// returns how many. `live` holds the numbers of the segments it needs. Not during a copy.
    public func freeSegments(live: Set<UInt32>) throws(JournalError) -> Int {
        // Nobody who appends waits for what the file system frees.
        let (spares, store, manifest) = try withWriter { ($0.spares, $0.store, $0.manifest) }
        return try spares.freeSegments(of: store, live: live, manifest)
    }

    /// The number of the segment being written.
    public var segment: UInt32 { (try? withWriter { $0.segment }) ?? 0 }

    /// How large a segment gets, in bytes.
    public var segmentSize: Int { (try? withWriter { $0.settings.segmentSize }) ?? 0 }

    private func snapshotFolder() throws(JournalError) -> SnapshotFolder<Place> {
        try withWriter { writer throws(JournalError) in
            SnapshotFolder(disk: writer.disk, layout: writer.layout, store: writer.store)
        }
    }
}
