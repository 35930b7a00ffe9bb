/// Keyed state with ttl and timers in the most obvious way: dictionaries, copied to undo.
struct StateModel {
    /// What one partition holds.
    struct Partition {
        var values: [String: (value: Int, expiry: Int64)] = [:]
        var timers: [String: Int64] = [:]
        var clock = Int64.min

        func visible(_ key: String) -> Int? {
            values[key].flatMap { $0.expiry > clock ? $0.value : nil }
        }
    }

    /// One thing that a rule does; a ttl of 0 is none.
    enum Step {
        case set(String, Int, ttl: Int64)
        case incr(String, Int, ttl: Int64)
        case delete(String)
        case timer(String, at: Int64?)
        case fail
    }

    var partitions: [Int: Partition] = [:]
    var watermark = Int64.min

    /// Runs a transaction; false when it fails, and then nothing of it remains.
    mutating func run(_ steps: [Step], partition: Int, time: Int64) -> Bool {
        var current = partitions[partition] ?? Partition()
        current.clock = max(current.clock, time)
        func expiry(_ ttl: Int64) -> Int64? { ttl > 0 ? current.clock + ttl : nil }
        for step in steps {
            switch step {
            case .set(let key, let value, let ttl):
                current.values[key] = (value, expiry(ttl) ?? .max)
            case .incr(let key, let amount, let ttl):
                let old = current.visible(key)
                let kept = old == nil ? Int64.max : current.values[key]?.expiry ?? .max
                current.values[key] = ((old ?? 0) + amount, expiry(ttl) ?? kept)
            case .delete(let key): current.values[key] = nil
            case .timer(let name, let at): current.timers[name] = at
            case .fail: return false
            }
        }
        partitions[partition] = current
        return true
    }

    /// The timer that is next, removed.
    mutating func nextTimer(until watermark: Int64) -> (at: Int64, name: String, partition: Int)? {
        let due = partitions.flatMap { number, partition in
            partition.timers.filter { $0.value <= watermark }
                .map { (at: $0.value, name: $0.key, partition: number) }
        }
        guard
            let next = due.min(by: {
                ($0.at, $0.name, $0.partition) < ($1.at, $1.name, $1.partition)
            })
        else { return nil }
        partitions[next.partition]?.timers[next.name] = nil
        return next
    }

    /// All that can be seen in a partition, as the rule of the test writes it.
    func text(_ partition: Int, keys: [String]) -> String {
        let current = partitions[partition] ?? Partition()
        return keys.compactMap { key in current.visible(key).map { "\(key)=\($0)" } }
            .joined(separator: " ")
    }
}
