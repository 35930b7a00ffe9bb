internal import Glibc
public import Journal
internal import Synchronization

/// A disk in memory that loses, tears, reorders and refuses as real ones do, the same way for the
/// same seed. What was not synced survives a power cut sector by sector, in any combination; names
/// that were not synced survive up to some point of their order. Any thread.
public final class FaultyDisk: Disk {
    /// What goes wrong. Calls are counted from 0: each write, sync, cut, and change of a name.
    public struct Faults: Sendable {
        /// The power goes at this call; every later one fails.
        public var powerCutAtCall: Int?
        /// This call fails with this error number.
        public var failure: (call: Int, code: Int32)?
        /// All files together hold so many bytes.
        public var capacity = Int.max
        /// Each write takes so many bytes at most.
        public var writeLimit = Int.max
        /// A sync of a file returns at once: a build that skips it.
        public var ignoresFileSync = false
        /// A sync of a directory returns at once: a build that forgets it.
        public var ignoresDirectorySync = false

        /// Nothing goes wrong.
        public init() {}
    }

    static let sectorSize = 512

    let state: Mutex<FaultyDiskState>

    /// An empty disk.
    public init(_ faults: Faults = Faults()) {
        state = Mutex(FaultyDiskState(faults: faults))
    }

    private init(_ restarted: FaultyDiskState) { state = Mutex(restarted) }

    /// How many calls were counted.
    public var callCount: Int { state.withLock { $0.callCount } }

    /// The disk as the next start finds it after a power cut now.
    public func afterPowerCut(
        _ random: inout SeededRandom, faults: Faults = Faults()
    ) -> FaultyDisk {
        let copy = state.withLock { $0.afterPowerCut(&random, faults) }
        return FaultyDisk(copy)
    }

    /// The disk as the next start finds it when only the process died: everything written is there.
    public func afterProcessDeath(faults: Faults = Faults()) -> FaultyDisk {
        FaultyDisk(state.withLock { $0.restarted(faults) })
    }

    /// The bytes of a file as a program would read them, or nil.
    public func bytes(_ path: String) -> [UInt8]? {
        state.withLock { state in state.names[path].map { state.files[$0].bytes } }
    }

    /// Replaces the bytes of a file, as if they had always been so.
    public func replace(_ path: String, with bytes: [UInt8]) {
        state.withLock { state in
            guard let index = state.names[path] else { return }
            state.files[index].bytes = bytes
            state.files[index].settle()
        }
    }

    /// Opens a file.
    public func open(_ path: String, _ access: FileAccess) throws(DiskError) -> FaultyFile {
        FaultyFile(self, path, try run { state throws(DiskError) in try state.open(path, access) })
    }

    /// Locks a file until its handle goes.
    public func lock(_ path: String) throws(DiskError) -> FaultyFile? {
        let index: Int? = try run { state throws(DiskError) in
            let index: Int
            if let known = state.names[path] {
                index = known
            } else {
                index = try state.open(path, .create)
            }
            return state.locked.insert(index).inserted ? index : nil
        }
        return index.map { FaultyFile(self, path, $0, isLock: true) }
    }

    /// The names in a directory, sorted.
    public func names(in directory: String) throws(DiskError) -> [String] {
        state.withLock { state in
            state.names.keys.filter { FaultyDiskState.parent($0) == directory }
                .map { String($0.dropFirst(directory.utf8.count + 1)) }.sorted()
        }
    }

    /// Makes a directory if it is not there.
    public func makeDirectory(_ path: String) throws(DiskError) {
        if try exists(path) { return }
        try run { state throws(DiskError) in
            try state.count("make", path)
            state.files.append(FaultyDiskState.Content())
            state.change(path, to: state.files.count - 1)
        }
    }

    /// Makes the names in a directory survive.
    public func syncDirectory(_ path: String) throws(DiskError) {
        try run { state throws(DiskError) in
            try state.count("sync", path)
            if !state.faults.ignoresDirectorySync { state.settleNames(in: path) }
        }
    }

    /// Gives a file another name.
    public func rename(_ path: String, to other: String) throws(DiskError) {
        try run { state throws(DiskError) in
            try state.count("rename", path)
            let index = try state.index(path, "rename")
            state.changes.append([(path, nil), (other, index)])
            state.names[path] = nil
            state.names[other] = index
        }
    }

    /// Gives a file a second name.
    public func link(_ path: String, to other: String) throws(DiskError) {
        try run { state throws(DiskError) in
            try state.count("link", path)
            state.change(other, to: try state.index(path, "link"))
        }
    }

    /// Takes a name away.
    public func remove(_ path: String) throws(DiskError) {
        try run { state throws(DiskError) in
            try state.count("remove", path)
            _ = try state.index(path, "remove")
            state.change(path, to: nil)
        }
    }

    /// True when there is something of that name.
    public func exists(_ path: String) throws(DiskError) -> Bool {
        state.withLock { $0.names[path] != nil }
    }

    /// The number of calls, so that time is the same in every run.
    public func now() -> Int64 { Int64(callCount) }

    func run<Value: Sendable>(
        _ body: (inout FaultyDiskState) throws(DiskError) -> Value
    ) throws(DiskError) -> Value {
        try state.withLock { (state) throws(DiskError) -> Value in try body(&state) }
    }
}

/// An open file of a faulty disk.
public final class FaultyFile: File {
    private let disk: FaultyDisk
    private let path: String
    private let index: Int
    private let isLock: Bool

    init(_ disk: FaultyDisk, _ path: String, _ index: Int, isLock: Bool = false) {
        self.disk = disk
        self.path = path
        self.index = index
        self.isLock = isLock
    }

    deinit {
        if isLock { disk.state.withLock { _ = $0.locked.remove(index) } }
    }

    /// The size in bytes.
    public func size() throws(DiskError) -> Int {
        disk.state.withLock { $0.files[index].bytes.count }
    }

    /// How many names the file has.
    public func linkCount() throws(DiskError) -> Int {
        disk.state.withLock { state in state.names.values.count { $0 == index } }
    }

    /// Reads what there is.
    public func read(into buffer: inout MutableRawSpan, at offset: Int) throws(DiskError) -> Int {
        let bytes = disk.state.withLock { $0.files[index].bytes }
        let count = max(0, min(buffer.byteCount, bytes.count - offset))
        for place in 0..<count {
            buffer.storeBytes(of: bytes[offset + place], toByteOffset: place, as: UInt8.self)
        }
        return count
    }

    /// Writes some bytes, none of them to stable storage.
    public func write(_ bytes: RawSpan, at offset: Int) throws(DiskError) -> Int {
        let array = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        return try disk.run { state throws(DiskError) in
            try state.write(array, to: index, at: offset, path)
        }
    }

    /// Makes the bytes survive. When it fails the system forgets that they were to be written.
    public func sync() throws(DiskError) {
        try disk.run { state throws(DiskError) in
            do throws(DiskError) { try state.count("sync", path) } catch {
                if !state.isPowerCut { state.files[index].forgetUnsynced() }
                throw error
            }
            if !state.faults.ignoresFileSync { state.files[index].settle() }
        }
    }

    /// Cuts the file, or lengthens it with zeros.
    public func truncate(to size: Int) throws(DiskError) {
        try disk.run { state throws(DiskError) in
            try state.count("cut", path)
            state.files[index].resize(to: size)
        }
    }
}
