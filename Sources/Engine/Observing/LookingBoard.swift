internal import Definitions
internal import Scripting
internal import Synchronization
internal import Threads

/// What lookers want of the threads that run rules. Each of them sees it between two batches, by
/// one number that is the same while nobody comes or goes.
final class LookingBoard: Sendable {
    /// What a thread has to do for the lookers of the moment.
    struct Wishes: Sendable {
        /// One for each thread, while somebody measures.
        var meters: [CallMeter] = []
        var measuring = 0
        var profiling = 0
        /// Each in a place of its own, which stays empty for as long as possible after it has gone:
        /// rows that are on their way are none of the next one's.
        var taps: [Tap?] = []
        var nextPlace = 0

        /// Gives a tap a place; false when all are taken.
        mutating func add(_ tap: Tap) -> Bool {
            if taps.isEmpty { taps = Array(repeating: nil, count: Tap.most) }
            let places = (0..<Tap.most).map { (nextPlace + $0) % Tap.most }
            guard let place = places.first(where: { taps[$0] == nil }) else { return false }
            taps[place] = tap
            nextPlace = (place + 1) % Tap.most
            return true
        }
    }

    private let generation = Atomic<Int>(0)
    private let wishes = Locked(Wishes())

    /// Another one whenever somebody has come or gone.
    var number: Int { generation.load(ordering: .acquiring) }

    var current: Wishes { wishes.withLock { $0 } }

    /// The tap at a place, and whether another one at the same output is before it.
    func tap(at place: Int) -> (tap: Tap, isSecond: Bool)? {
        wishes.withLock { wishes in
            guard wishes.taps.indices.contains(place), let tap = wishes.taps[place] else {
                return nil
            }
            return (tap, wishes.taps[..<place].contains { $0?.origin == tap.origin })
        }
    }

    /// Changes what is wanted.
    func change<Result>(_ body: (inout Wishes) -> Result) -> Result {
        let result = wishes.withLock(body)
        generation.add(1, ordering: .releasing)
        return result
    }

    /// Somebody begins to measure; each thread has a meter from its next batch on.
    func beginMeasuring(threads: Int, stages: Int, profiles: Bool) -> [CallMeter] {
        change { wishes in
            wishes.measuring += 1
            wishes.profiling += profiles ? 1 : 0
            if wishes.meters.isEmpty {
                wishes.meters = (0..<threads).map { _ in CallMeter(stages: stages) }
            }
            return wishes.meters
        }
    }

    func endMeasuring(profiles: Bool) {
        change { wishes in
            wishes.measuring -= 1
            wishes.profiling -= profiles ? 1 : 0
            if wishes.measuring == 0 { wishes.meters = [] }
        }
    }
}

/// What a thread that runs rules knows of the lookers; stays on its thread.
struct LookingThread {
    let board: LookingBoard
    let index: Int
    private var number = 0
    private(set) var meter: CallMeter?
    private(set) var isTapped = false

    init(_ board: LookingBoard, index: Int) {
        self.board = board
        self.index = index
    }

    /// Does in `vm` what is wanted, if that has changed; between two batches only.
    mutating func update(_ vm: inout RuleVM, tapSink: Int) -> Bool {
        guard board.number != number else { return false }
        number = board.number
        let wishes = board.current
        meter = wishes.meters.isEmpty ? nil : wishes.meters[index]
        vm.measure(with: meter, profiles: wishes.profiling > 0)
        let origins = wishes.taps.map { tap in
            tap.flatMap { $0.isResting ? nil : RuleWire($0.origin) }
        }
        isTapped = origins.contains { $0 != nil }
        vm.tap(origins, first: tapSink)
        return true
    }

    /// The VM goes; the next one has to hear what is wanted.
    mutating func leave(_ vm: inout RuleVM, tapSink: Int) {
        guard number != 0 else { return }
        vm.measure(with: nil)
        vm.tap([], first: tapSink)
        number = -1
    }
}
