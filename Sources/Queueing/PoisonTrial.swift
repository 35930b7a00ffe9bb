/// Finds the message that kills its process, from deaths alone.
///
/// Messages that were under way when the process died are suspects, in two groups of half their
/// number. A group is handed over with nothing else beside it, and whoever comes back from it, done
/// or failed, is cleared. When the process dies again, what was still under way is halved once
/// more, so that one among n is alone after log2 n deaths. Only a message that is alone in the
/// process each time it dies is poison, and not before its queue's `max_deaths`.
///
/// Whoever kills the process from outside looks the same, but not for long: before the last of
/// those deliveries a message waits for a minute. A value without a clock; milliseconds.
struct PoisonTrial {
    /// What is known of a message that may have killed its process.
    struct Suspect: Hashable {
        /// Messages of one group are handed over together; those of lower numbers come first.
        var group: UInt32
        /// How often in a row it was alone in the process that died.
        var deaths: UInt8
    }

    /// What a death says about a message that was under way.
    struct Finding: Hashable {
        var number: UInt64
        var suspect: Suspect
        /// True when it was alone, so that this death counts.
        var wasAlone: Bool
        var isPoison = false
        /// How long it waits before it is handed over again.
        var wait: Int64 = 0
    }

    /// What may be handed over to who asks now.
    enum Permission: Hashable {
        /// These, and nothing else beside them.
        case suspects([UInt64])
        /// Messages that are no suspects.
        case others
        case nothing
    }

    private(set) var suspects: [UInt64: Suspect] = [:]
    private var groups: [UInt32: Set<UInt64>] = [:]
    private var nextGroup: UInt32 = 1
    /// The group that is under way in this process, how many of it, and since when.
    private var current: UInt32 = 0
    private var underWay = 0
    private var since: Int64 = 0
    private var drain = Drain()

    /// The wait before the delivery that may prove it: so many killings from outside as fit into a
    /// minute prove nothing.
    static let lastWait: Int64 = 60_000
    /// A group that takes longer than this is no longer kept alone.
    static let longestProof: Int64 = 600_000

    var isEmpty: Bool { suspects.isEmpty }

    // MARK: - Deaths

    /// What becomes of the messages that were under way in a process that died. `knowsAll` is
    /// false when others may have been under way that nobody knows of.
    func death(
        of numbers: [UInt64], knowsAll: Bool = true, maxDeaths: (UInt64) -> Int
    ) -> [Finding] {
        let numbers = numbers.sorted()
        if numbers.count == 1, let number = numbers.first {
            // A suspect is handed over alone, whatever else there is.
            let counts = knowsAll || suspects[number] != nil
            return [alone(number, counts: counts, maxDeaths: max(1, maxDeaths(number)))]
        }
        let half = (numbers.count + 1) / 2
        return numbers.enumerated().map { place, number in
            Finding(
                number: number,
                suspect: Suspect(
                    group: nextGroup + (place < half ? 0 : 1),
                    deaths: suspects[number]?.deaths ?? 0),
                wasAlone: false)
        }
    }

    private func alone(_ number: UInt64, counts: Bool, maxDeaths: Int) -> Finding {
        let deaths = Int(suspects[number]?.deaths ?? 0) + (counts ? 1 : 0)
        var finding = Finding(
            number: number,
            suspect: Suspect(group: nextGroup, deaths: UInt8(min(deaths, 255))), wasAlone: counts)
        finding.isPoison = deaths >= maxDeaths
        if deaths == maxDeaths - 1 {
            finding.wait = Self.lastWait
        } else if deaths > 1 {
            // Other messages are handed over meanwhile.
            finding.wait = min(1_000 << Int64(min(deaths - 2, 6)), Self.lastWait)
        }
        return finding
    }

    // MARK: - What the log says

    mutating func set(_ number: UInt64, _ suspect: Suspect) {
        clear(number)
        suspects[number] = suspect
        groups[suspect.group, default: []].insert(number)
        nextGroup = max(nextGroup, suspect.group + 1)
    }

    /// It came back from a handler, or is gone.
    mutating func clear(_ number: UInt64) {
        guard let old = suspects.removeValue(forKey: number) else { return }
        groups[old.group]?.remove(number)
        if groups[old.group]?.isEmpty == true { groups[old.group] = nil }
    }

    /// A suspect was handed over to this process, or has come back from it.
    mutating func begin(_ number: UInt64) {
        if underWay == 0 { current = suspects[number]?.group ?? 0 }
        underWay += 1
    }

    mutating func end() { underWay -= 1 }

    // MARK: - Handing over

    /// What may be handed over, while there are suspects. `leases` is how many messages this
    /// process has; `mayWait` is false when others wait for the queue to become shorter; `isReady`
    /// tells whether a suspect could be handed over to who asks.
    mutating func permission(
        at now: Int64, leases: Int, mayWait: Bool = true, isReady: (UInt64) -> Bool
    ) -> Permission {
        if underWay > 0 {
            // Whoever waits for a handler that waits for them would wait for ever.
            guard mayWait, now < since + Self.longestProof else { return .others }
            let ready = ready(in: current, isReady)
            return ready.isEmpty ? .nothing : .suspects(ready)
        }
        for group in groups.keys.sorted() {
            let ready = ready(in: group, isReady)
            if ready.isEmpty { continue }
            guard leases > 0 else {
                since = now
                drain = Drain()
                return .suspects(ready)
            }
            return drain.begins(at: now) && mayWait ? .nothing : .others
        }
        return drain.isOn(at: now) && mayWait ? .nothing : .others
    }

    private func ready(in group: UInt32, _ isReady: (UInt64) -> Bool) -> [UInt64] {
        groups[group, default: []].filter(isReady).sorted()
    }
}

extension PoisonTrial {
    /// A time in which nothing is handed over, so that this process comes to have nothing under way
    /// and a group can be alone. Who has a message for long must not stop all others: such times
    /// are short at first, and others are served between them.
    private struct Drain {
        private var until: Int64?
        private var again: Int64 = 0
        private var length: Int64 = 10_000
        private static let pause: Int64 = 60_000
        private static let longest: Int64 = 600_000

        func isOn(at now: Int64) -> Bool {
            // A clock that was put back must not make it longer.
            until.map { now < $0 && $0 - now <= length } ?? false
        }

        /// Begins one when it is time; true while it lasts.
        mutating func begins(at now: Int64) -> Bool {
            if isOn(at: now) { return true }
            if until != nil {
                until = nil
                again = now + Self.pause
                length = min(length * 2, Self.longest)
            }
            guard now >= again || again - now > Self.pause else { return false }
            until = now + length
            return true
        }
    }
}
