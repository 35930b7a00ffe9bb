/// What a pipeline has committed, and with which a restart begins. One thread at a time.
package final class PipelineState {
    /// Where sources and sinks stand: `source NAME` or `sink NAME`, then the connector's own names.
    private(set) var positions: [String: [String: [UInt8]]] = [:]
    private(set) var times = CommittedTimes()
    /// The state of rules, and of windows.
    private var rules = RulesImage()
    private(set) var windows = StateImage()

    package private(set) var versions = VersionTable()
    /// When each schedule was last due, in seconds since 1970.
    private(set) var schedules: [String: Int64] = [:]
    /// What sinks with an outbox have still to get.
    private(set) var outbox = OutboxTable()
    /// How many partitions the store was made with; nil while nobody has said so.
    private(set) var partitions: Int?

    /// True when nothing was ever committed.
    var isEmpty: Bool { positions.isEmpty && rules.isEmpty && windows.count == 0 }

    /// Takes in an entry, of a commit or of a snapshot; false when its kind is not known.
    @discardableResult
    func apply(_ kind: UInt8, _ bytes: RawSpan) -> Bool {
        switch StoreEntry.Kind(rawValue: kind) {
        case .positions: applyPositions(bytes)
        case .rules: rules.apply(bytes)
        case .windows: applyWindows(bytes)
        case .times: times = CommittedTimes(bytes.text)
        case .version: versions.restoreVersion(bytes)
        case .outcome: versions.restoreRows(bytes.array)
        case .schedules:
            StoreEntry.forEach(bytes) { name, value in
                if let value { schedules[name.text] = Int64(value.text) }
            }
        case .partitions: partitions = Int(bytes.text)
        case .outbox: outbox.apply(chunks: bytes)
        case .delivered: outbox.apply(delivered: bytes)
        default: return false
        }
        return true
    }

    /// What comes now is a snapshot, which names each entry once. With `defersRules` the state of
    /// rules is not needed soon: `settleOne` is to be called when there is time.
    func beginRestoring(defersRules: Bool = false) {
        rules.beginRestoring(defers: defersRules)
        windows.beginRestoring()
    }

    /// What comes now are commits.
    func endRestoring() {
        rules.endRestoring()
        windows.endRestoring()
    }

    private func applyPositions(_ bytes: RawSpan) {
        StoreEntry.forEach(bytes) { name, value in
            let parts = name.text.split(separator: "\0", maxSplits: 1).map(String.init)
            guard parts.count == 2, let value else { return }
            // A position of no bytes says that the part is forgotten.
            positions[parts[0], default: [:]][parts[1]] = value.byteCount > 0 ? value.array : nil
        }
    }

    /// Does a piece of the work that the start has put off; false when there is none.
    func settleOne() -> Bool { rules.settleOne() }

    /// The first name is the stage's, the others are its entries'.
    private func applyWindows(_ bytes: RawSpan) {
        var prefix: [UInt8]?
        StoreEntry.forEach(bytes) { name, value in
            guard let stage = prefix else {
                prefix = Self.windowPrefix(name.array)
                return
            }
            if let value { windows.put(stage, name, value) } else { windows.remove(stage, name) }
        }
    }

    private static func windowPrefix(_ stage: [UInt8]) -> [UInt8] { [UInt8(stage.count)] + stage }

    // MARK: For a restart

    /// The state of the rules of some stages, as `RuleVM.restore(encoded:)` takes it.
    package func encodedRules(of stages: Set<String>) -> [UInt8] {
        var result: [UInt8] = []
        forEachRulesSlice(of: stages) { result += $0 }
        return result
    }

    /// Calls with the same in pieces of some thousand entries.
    func forEachRulesSlice<Failure: Error>(
        of stages: Set<String>, _ body: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        if rules.isWaiting { rules.settle() }
        let names = stages.map { Array($0.utf8) }
        var bytes: [UInt8] = []
        var next: Int? = 0
        while let start = next {
            bytes.removeAll(keepingCapacity: true)
            next = rules.slice(from: start, limit: 4096) { key, value in
                let stage = key.extracting(RulesImage.stage(ofKey: key))
                let isWanted = names.contains { unsafe stage.isEqual(to: $0.span.bytes) }
                guard isWanted else { return }
                unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
            }
            if !bytes.isEmpty { try body(bytes) }
        }
    }

    /// Calls with each entry of a stage's windows.
    func forEachWindow(of stage: String, _ body: (_ key: [UInt8], _ value: [UInt8]) -> Void) {
        let prefix = Self.windowPrefix(Array(stage.utf8))
        walk(windows) { key, value in
            guard key.byteCount >= prefix.count,
                key.extracting(0..<prefix.count).array == prefix
            else { return }
            body(key.extracting(prefix.count..<key.byteCount).array, value.array)
        }
    }

    private func walk(_ image: borrowing StateImage, _ body: (RawSpan, RawSpan) -> Void) {
        var next: Int? = 0
        while let start = next { next = image.slice(from: start, limit: 4096, body) }
    }

    // MARK: For a snapshot

    /// Everything as entries of the store, some at a time. Returns where to go on, or nil at the
    /// end. Commits may come in between: what they say is in the log behind the snapshot's begin.
    func snapshotSlice(
        from place: SnapshotPlace, _ body: (_ kind: StoreEntry.Kind, _ bytes: [UInt8]) -> Void
    ) -> SnapshotPlace? {
        let limit = 4096
        switch place {
        case .beginning:
            putHead(body)
            return .rules(0)
        case .rules(let start):
            if rules.isWaiting { rules.settle() }
            var bytes: [UInt8] = []
            let next = rules.slice(from: start, limit: limit) { _, value in
                unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
            }
            if !bytes.isEmpty { body(.rules, bytes) }
            return next.map { .rules($0) } ?? .windows(0)
        case .windows(let start):
            var stages: [[UInt8]: [UInt8]] = [:]
            let next = windows.slice(from: start, limit: limit) { key, value in
                let length = Int(key.byte(0))
                let stage = key.extracting(1..<(1 + length)).array
                let name = key.extracting((1 + length)..<key.byteCount).array
                StoreEntry.add(name, value.array, to: &stages[stage, default: []])
            }
            for (stage, entries) in stages {
                var bytes: [UInt8] = []
                StoreEntry.add(stage, [], to: &bytes)
                body(.windows, bytes + entries)
            }
            return next.map { .windows($0) }
        }
    }

    /// What is small, and written at once.
    private func putHead(_ body: (_ kind: StoreEntry.Kind, _ bytes: [UInt8]) -> Void) {
        body(.positions, encodedPositions)
        body(.times, Array(times.encoded.utf8))
        for (version, kept) in versions.kept {
            body(.version, VersionTable.encode(version, kept))
        }
        body(.outcome, versions.encodedRows)
        body(.schedules, encodedSchedules)
        outbox.forEachEntry(body)
        if let partitions { body(.partitions, Array("\(partitions)".utf8)) }
    }

    /// About what a snapshot of it takes, in bytes.
    var byteCount: Int { rules.byteCount + windows.liveByteCount }

    private var encodedSchedules: [UInt8] {
        var bytes: [UInt8] = []
        for (name, time) in schedules {
            StoreEntry.add(Array(name.utf8), Array("\(time)".utf8), to: &bytes)
        }
        return bytes
    }

    private var encodedPositions: [UInt8] {
        var bytes: [UInt8] = []
        for (owner, values) in positions {
            for (name, value) in values {
                StoreEntry.add(Array("\(owner)\0\(name)".utf8), value, to: &bytes)
            }
        }
        return bytes
    }
}

/// Where a snapshot of the state goes on.
enum SnapshotPlace: Hashable {
    case beginning
    /// From this entry on of what rules keep, or windows.
    case rules(Int)
    case windows(Int)
}

/// How far time had come: of each source, of all together, and the counters behind names.
struct CommittedTimes: Hashable, Sendable {
    /// The newest time of each source, in milliseconds since 1970.
    var newest: [String: Int64] = [:]
    /// The watermark; nil when there was none.
    var watermark: Int64?
    /// How many rows and letters of windows have had a name, by stage.
    var positions: [String: UInt64] = [:]

    init() {}

    init(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count >= 2 else { continue }
            switch words[0] {
            case "watermark": watermark = Int64(words[1])
            case "source" where words.count == 3: newest[String(words[2])] = Int64(words[1])
            case "stage" where words.count == 3: positions[String(words[2])] = UInt64(words[1])
            default: break
            }
        }
    }

    var encoded: String {
        var text = watermark.map { "watermark \($0)\n" } ?? ""
        for (name, time) in newest.sorted(by: { $0.key < $1.key }) {
            text += "source \(time) \(name)\n"
        }
        for (name, position) in positions.sorted(by: { $0.key < $1.key }) {
            text += "stage \(position) \(name)\n"
        }
        return text
    }
}

extension RawSpan {
    func byte(_ index: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self) }
}
