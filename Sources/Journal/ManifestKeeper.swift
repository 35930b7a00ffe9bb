internal import Synchronization

/// Keeps the manifest of an open store true. Any thread.
final class ManifestKeeper<Place: Disk>: Sendable {
    private struct State {
        var manifest: StoreManifest
        /// What the files say, as far as that is known.
        var written: StoreManifest?
        var position: Place.Handle?
        var nextSlot = 0
    }

    private let disk: Place
    private let layout: StoreLayout
    private let state: Mutex<State>

    /// - Parameter written: what the files say; nil when there are none.
    init(
        _ disk: Place, _ layout: StoreLayout, _ manifest: StoreManifest, written: StoreManifest?
    ) {
        self.disk = disk
        self.layout = layout
        state = Mutex(State(manifest: manifest, written: written))
    }

    /// The log is durable up to `sequence`, in the segment being written: writes it to POSITION,
    /// which is a hundredth of what the disk was waited for.
    func note(_ segment: StoreManifest.Segment, durable sequence: UInt64) throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            set(segment, durable: sequence, &state)
            try writePosition(&state)
        }
    }

    private func writePosition(_ state: inout State) throws(DiskError) {
        guard let last = state.manifest.segments.last else { return }
        let position = DurablePosition(
            sequence: state.manifest.durableSequence, segment: last.number,
            timeMicroseconds: last.lastTime, messages: last.messages)
        let file: Place.Handle
        if let known = state.position {
            file = known
        } else {
            let isThere = try disk.exists(layout.position)
            file = try disk.open(layout.position, isThere ? .update : .create)
            state.position = file
        }
        let bytes = position.encoded(state.manifest.store)
        try unsafe file.writeAll(bytes.span.bytes, at: state.nextSlot * DurablePosition.slotSize)
        state.nextSlot = 1 - state.nextSlot
    }

    /// A segment was begun, after another one perhaps, or the store is closed: all is written down.
    func write(
        _ segment: StoreManifest.Segment, after finished: StoreManifest.Segment? = nil,
        durable sequence: UInt64
    ) throws(DiskError) {
        try change { state in
            if let finished { self.set(finished, durable: sequence, &state) }
            self.set(segment, durable: sequence, &state)
        }
    }

    private func set(
        _ segment: StoreManifest.Segment, durable sequence: UInt64, _ state: inout State
    ) {
        state.manifest.durableSequence = max(state.manifest.durableSequence, sequence)
        let index = state.manifest.segments.lastIndex { $0.number == segment.number }
        if let index {
            state.manifest.segments[index] = segment
        } else {
            state.manifest.segments.append(segment)
        }
    }

    /// These are the snapshots from here on; to be called before the others go.
    func keep(snapshots: [UInt64]) throws(DiskError) {
        try change { $0.manifest.snapshots = snapshots }
    }

    /// Segments are given up; to be called before they go.
    func forget(segments numbers: [UInt32]) throws(DiskError) {
        guard !numbers.isEmpty else { return }
        try change { $0.manifest.segments.removeAll { numbers.contains($0.number) } }
    }

    private func change(_ body: (inout State) -> Void) throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            body(&state)
            guard state.manifest != state.written else { return }
            state.manifest.generation += 1
            try state.manifest.write(layout, disk)
            state.written = state.manifest
        }
    }
}
