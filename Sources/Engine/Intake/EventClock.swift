internal import Connecting

/// How far event time had come before a batch, as its VM has to know it; all times are in
/// milliseconds since 1970, `Int64.min` where there is none yet.
struct ClockReading: Sendable, Hashable {
    /// The newest time of the batch's source.
    var newest = Int64.min
    /// The newest time of the slowest other source that time waits for; nil without one.
    var floor: Int64?
    /// The watermark: no record before it is expected any more.
    var watermark = Int64.min
}

/// The event time of a pipeline: the newest time of each source, and the watermark that follows.
///
/// The watermark stands `out_of_orderness` and a millisecond behind the newest time of the slowest
/// source, and never goes back (Akidau et al., "The Dataflow Model", 2015). It is told of batches
/// in the order in which they were read, so that it does not depend on who runs them.
struct EventClock: Sendable {
    private let names: [String]
    private let outOfOrderness: Int64
    private var newest: [Int64]
    private(set) var watermark = Int64.min

    /// Begins without any time, for the sources of these names.
    ///
    /// - Parameter outOfOrderness: by how many milliseconds records may be late.
    init(sources names: [String], outOfOrderness: Int64) {
        self.names = names
        self.outOfOrderness = outOfOrderness
        newest = names.map { _ in Int64.min }
    }

    /// Goes on where an earlier run has committed.
    mutating func restore(_ times: CommittedTimes) {
        for (index, name) in names.enumerated() {
            newest[index] = times.newest[name] ?? Int64.min
        }
        watermark = times.watermark ?? Int64.min
    }

    /// How far time has come for a batch of a source, while it waits for these others.
    func reading(of source: Int, waitingFor others: [Int]) -> ClockReading {
        var reading = ClockReading()
        reading.newest = newest.indices.contains(source) ? newest[source] : Int64.min
        reading.floor = others.map { newest[$0] }.min()
        reading.watermark = watermark
        return reading
    }

    /// A batch has been run: this was the newest time in it, or nil without any.
    mutating func advance(_ source: Int, to time: Int64?, waitingFor others: [Int]) {
        guard newest.indices.contains(source) else { return }
        if let time { newest[source] = max(newest[source], time) }
        let least = others.reduce(newest[source]) { min($0, newest[$1]) }
        watermark = max(watermark, mark(of: least))
    }

    /// The watermark that a newest time allows.
    func mark(of time: Int64) -> Int64 {
        time == Int64.min ? time : time - outOfOrderness - 1
    }

    /// What a commit keeps of it.
    func addEntries(to draft: inout CommitDraft) {
        var times = draft.times ?? CommittedTimes()
        for (name, time) in zip(names, newest) where time != .min { times.newest[name] = time }
        times.watermark = watermark == .min ? nil : watermark
        draft.times = times
    }
}
