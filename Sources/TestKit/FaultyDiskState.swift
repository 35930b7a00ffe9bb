internal import Glibc
internal import Journal

/// What a faulty disk holds, and what of it would survive a power cut.
struct FaultyDiskState: Sendable {
    /// A file: its bytes as programs see them, those on stable storage, and what lies between.
    struct Content: Sendable {
        var bytes: [UInt8] = []
        private var stable: [UInt8] = []
        /// Each sector's contents since the last sync; any of them may be the one that survives.
        private var versions: [Int: [[UInt8]]] = [:]
        private var sizes: [Int] = []

        mutating func settle() {
            stable = bytes
            forgetUnsynced()
        }

        mutating func forgetUnsynced() {
            versions = [:]
            sizes = []
        }

        mutating func resize(to size: Int) {
            if size < bytes.count {
                bytes.removeLast(bytes.count - size)
            } else {
                bytes += [UInt8](repeating: 0, count: size - bytes.count)
            }
            sizes.append(size)
        }

        mutating func write(_ new: ArraySlice<UInt8>, at offset: Int) {
            let end = offset + new.count
            if end > bytes.count { resize(to: end) }
            bytes.replaceSubrange(offset..<end, with: new)
            let size = FaultyDisk.sectorSize
            for sector in (offset / size)...((end - 1) / size) {
                let from = sector * size
                versions[sector, default: []].append(
                    Array(bytes[from..<min(from + size, bytes.count)]))
            }
        }

        func afterPowerCut(_ random: inout SeededRandom) -> Content {
            var after = stable
            let size =
                sizes.isEmpty
                ? stable.count : ([stable.count] + sizes).randomElement(using: &random) ?? 0
            after = Array(after.prefix(size))
            after += [UInt8](repeating: 0, count: size - after.count)
            let keepsAll = Int.random(in: 0..<4, using: &random) == 0
            for sector in versions.keys.sorted() {
                guard let all = versions[sector] else { continue }
                let choice = keepsAll ? all.count : Int.random(in: 0...all.count, using: &random)
                guard choice > 0 else { continue }
                let from = sector * FaultyDisk.sectorSize
                for (index, byte) in all[choice - 1].enumerated() where from + index < size {
                    after[from + index] = byte
                }
            }
            var content = Content()
            content.bytes = after
            content.settle()
            return content
        }
    }

    var faults: FaultyDisk.Faults
    var callCount = 0
    var isPowerCut = false
    var names: [String: Int] = ["": 0]
    var stableNames: [String: Int] = ["": 0]
    /// Changes of names that were not synced, in order; each one happens as a whole.
    var changes: [[(path: String, file: Int?)]] = []
    var files: [Content] = [Content()]
    var locked: Set<Int> = []

    init(faults: FaultyDisk.Faults) { self.faults = faults }

    static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    mutating func count(_ action: String, _ path: String) throws(DiskError) {
        let call = callCount
        callCount += 1
        if call == faults.powerCutAtCall { isPowerCut = true }
        if isPowerCut { throw DiskError(action, path, code: ENODEV) }
        if let failure = faults.failure, failure.call == call {
            throw DiskError(action, path, code: failure.code)
        }
    }

    func index(_ path: String, _ action: String) throws(DiskError) -> Int {
        guard let index = names[path] else { throw DiskError(action, path, code: ENOENT) }
        return index
    }

    mutating func change(_ path: String, to file: Int?) {
        changes.append([(path, file)])
        names[path] = file
    }

    mutating func open(_ path: String, _ access: FileAccess) throws(DiskError) -> Int {
        guard access == .create else { return try index(path, "open") }
        try count("make", path)
        if let index = names[path] {
            files[index].resize(to: 0)
            return index
        }
        guard names[Self.parent(path)] != nil else { throw DiskError("open", path, code: ENOENT) }
        files.append(Content())
        change(path, to: files.count - 1)
        return files.count - 1
    }

    mutating func write(
        _ bytes: [UInt8], to file: Int, at offset: Int, _ path: String
    ) throws(DiskError) -> Int {
        let used = files.reduce(0) { $0 + $1.bytes.count } - files[file].bytes.count
        let room = max(0, faults.capacity - used - offset)
        let count = min(bytes.count, faults.writeLimit, max(room, files[file].bytes.count - offset))
        do throws(DiskError) { try self.count("write", path) } catch {
            // The call was under way: some of it may have reached the disk.
            if count > 0 { files[file].write(bytes.prefix(count), at: offset) }
            throw error
        }
        guard count > 0 else { throw DiskError("write", path, code: ENOSPC) }
        files[file].write(bytes.prefix(count), at: offset)
        return count
    }

    mutating func settleNames(in directory: String) {
        changes.removeAll { change in
            guard change.allSatisfy({ Self.parent($0.path) == directory }) else { return false }
            for (path, file) in change { stableNames[path] = file }
            return true
        }
    }

    func restarted(_ faults: FaultyDisk.Faults) -> FaultyDiskState {
        var next = self
        next.faults = faults
        next.callCount = 0
        next.isPowerCut = false
        next.locked = []
        return next
    }

    func afterPowerCut(
        _ random: inout SeededRandom, _ faults: FaultyDisk.Faults
    ) -> FaultyDiskState {
        var next = restarted(faults)
        var survivors = stableNames
        for change in changes.prefix(Int.random(in: 0...changes.count, using: &random)) {
            for (path, file) in change { survivors[path] = file }
        }
        next.names = survivors.filter { path, _ in
            var place = path
            while !place.isEmpty {
                place = Self.parent(place)
                if survivors[place] == nil { return false }
            }
            return true
        }
        next.stableNames = next.names
        next.changes = []
        for index in files.indices { next.files[index] = files[index].afterPowerCut(&random) }
        return next
    }
}
