extension StoreManifest {
    /// The manifest of a store, when everything that it names is there; nil for a store that has
    /// none yet. Throws what is missing, and what it held.
    static func checked<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity
    ) throws(JournalError) -> StoreManifest? {
        let (manifest, missing) = try JournalError.wrap { () throws(DiskError) in
            let manifest = try read(layout, disk, store)
            return (manifest, try manifest?.missing(layout, disk) ?? [])
        }
        guard let first = missing.first else { return manifest }
        let more = missing.count > 1 ? "; and \(missing.count - 1) more" : ""
        throw JournalError(
            .damaged,
            "\(first.text)\(more); nothing was changed; put it back or restore a backup, or let "
                + "`tidewheel store repair` give it up")
    }
}

extension RecoveryPlan {
    /// Throws when the log ends before what it held once.
    static func checkEnd(
        _ end: UInt64, _ manifest: StoreManifest?, _ snapshots: [UInt64], _ layout: StoreLayout
    ) throws(JournalError) {
        let durable = manifest?.durableSequence ?? 0
        let newest = snapshots.last ?? 0
        guard end < max(durable, newest) else { return }
        let last = manifest?.segments.last
        let path = last.map { layout.segment($0.number) } ?? layout.journal
        let what =
            newest > durable
            ? "a snapshot holds transaction \(newest)" : last?.text ?? "transaction \(durable)"
        throw JournalError(
            .damaged,
            "\(path): acknowledged transactions \(end + 1) to \(max(durable, newest)) are gone (it "
                + "held \(what)); nothing was changed; restore a backup, or let `tidewheel store "
                + "repair` give them up")
    }

    /// What there is from here on.
    func manifest(
        _ store: StoreIdentity, _ known: StoreManifest?, _ snapshots: [UInt64]
    ) -> StoreManifest {
        var manifest = StoreManifest(store: store)
        manifest.generation = known?.generation ?? 0
        manifest.durableSequence = end.sequence
        manifest.segments = segments
        manifest.snapshots = snapshots
        return manifest
    }
}
