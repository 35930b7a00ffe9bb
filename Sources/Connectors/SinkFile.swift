internal import Connecting
internal import Glibc
internal import Threads

/// What holds for the files of a sink.
struct SinkFileRules {
    /// Positions are kept in a store, so that a later run will go on.
    var isKept: Bool
    /// What lies behind the last commit comes again.
    var cutsUncommitted: Bool
    /// A file that is not known may be replaced.
    var overwrites: Bool
    /// Rows may go behind what a file that is not known holds.
    var appends: Bool
    /// The file consists of packed members, not of lines.
    var isPacked: Bool
    /// Tells a person what does not stop the run.
    var warn: @Sendable (String) -> Void

    init(_ context: RunContext, appends: Bool, isPacked: Bool) {
        isKept = context.resumption.isKept
        cutsUncommitted = context.resumption.cutsUncommitted
        overwrites = context.resumption.overwrites
        warn = context.warn
        self.appends = appends
        self.isPacked = isPacked
    }
}

/// One file that rows go to, locked, and watched for what others do to it.
///
/// When it is renamed, deleted or truncated, rows wait in memory until the next commit. That commit
/// holds them together with the position in the file that is written from then on; once it is kept
/// they are written there. So a kill at any moment neither loses nor repeats one.
final class SinkFile {
    /// What somebody has done to it.
    enum Change { case moved, deleted, truncated(to: UInt64) }

    let path: String
    let shown: String
    let rules: SinkFileRules
    /// What every file begins with, such as the header of CSV.
    var head: [UInt8] = []
    /// Pipes and devices are neither locked nor watched, and nothing is cut off from them.
    var isSpecial = false
    var descriptor: Int32 = -1
    var status: SinkFileStatus?
    var length: UInt64 = 0
    /// Rows that are committed, and written before all others.
    var owed: [UInt8] = []
    /// A line break is missing where the first row is to stand.
    var lacksBreak = false
    /// What it holds is not ours, and goes when the first row or commit comes: a run that cannot
    /// begin leaves it as it is.
    var beginsAnew = false
    /// True when the position that was taken last must be kept before anything is written.
    var awaitsCommit = false
    private var change: Change?
    private var changedAt: UInt64 = 0
    /// Rows that wait for the next commit.
    private var pending: [UInt8] = []
    /// Files that were left, open until their rows are synced.
    private var retired: [Int32] = []
    private var told: SinkFilePosition?

    init(path: String, shown: String, rules: SinkFileRules) {
        self.path = path
        self.shown = shown
        self.rules = rules
    }

    deinit { close() }

    // MARK: Rows

    /// Takes whole rows, or whole members.
    func write(_ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        guard bytes.count > 0 else { return }
        try goOn()
        try unsafe place(bytes)
        if change != nil, !rules.isKept, isDue { try settle() }
    }

    /// Writes rows, unless they have to wait.
    private func place(_ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        guard !hasChanged else { return unsafe pending.append(contentsOf: bytes) }
        let (before, start) = (length, monotonicNanoseconds())
        try unsafe put(bytes)
        guard monotonicNanoseconds() >= start + Self.pauseNanoseconds else { return }
        try unsafe takeBack(bytes, to: before)
    }

    /// The thread had to pause between looking at the path and writing. A file that was renamed
    /// meanwhile may have been packed and removed without these rows, so they go into the next one.
    private func takeBack(
        _ bytes: UnsafeRawBufferPointer, to before: UInt64
    ) throws(ConnectorError) {
        guard let found = findChange() else { return }
        if case .truncated = found { return }
        (change, changedAt) = (found, monotonicNanoseconds())
        try cut(to: before)
        unsafe pending.append(contentsOf: bytes)
    }

    /// Within less time nobody can rename a file and read it to its end.
    private static let pauseNanoseconds: UInt64 = 1_000_000

    func write(_ bytes: [UInt8]) throws(ConnectorError) {
        try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
            try unsafe write(bytes)
        }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        try clear()
        if length == 0, !head.isEmpty { try putAll(head) }
        if lacksBreak { try putAll([0x0A]) }
        lacksBreak = false
        try unsafe putAll(bytes)
    }

    private func putAll(_ bytes: [UInt8]) throws(ConnectorError) {
        try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
            try unsafe putAll(bytes)
        }
    }

    private func putAll(_ bytes: UnsafeRawBufferPointer) throws(ConnectorError) {
        do {
            try unsafe writeAll(descriptor, bytes, shown: shown)
            length += UInt64(bytes.count)
        } catch {
            // No reader shall find half a row.
            if !isSpecial { _ = ftruncate(descriptor, off_t(length)) }
            throw ConnectorError("error: \(error.description); the rows were not written")
        }
    }

    private func clear() throws(ConnectorError) {
        guard beginsAnew else { return }
        beginsAnew = false
        try cut(to: 0)
    }

    // MARK: Changes from outside

    /// True when a commit is wanted, with which rows go on in another place.
    func look() throws(ConnectorError) -> Bool {
        try goOn()
        guard hasChanged, isDue else { return false }
        if rules.isKept { return true }
        try settle()
        return false
    }

    /// What is written now must be complete; rows that wait go with the commit that begins.
    ///
    /// - Parameter isLast: nobody is waited for that may be about to make the new file.
    func settle(isLast: Bool = false) throws(ConnectorError) {
        try goOn()
        try clear()
        guard hasChanged, let change else { return }
        owed += pending
        pending = []
        guard isDue || isLast else { return }
        try follow(change)
        self.change = nil
        awaitsCommit = true
        if !rules.isKept { try goOn() }
    }

    /// The commit that was waited for is kept.
    private func goOn() throws(ConnectorError) {
        guard awaitsCommit else { return }
        awaitsCommit = false
        for descriptor in retired { Self.release(descriptor) }
        retired = []
        guard !owed.isEmpty else { return }
        let bytes = owed
        owed = []
        try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
            try unsafe place(bytes)
        }
    }

    private var hasChanged: Bool {
        if change == nil, let found = findChange() {
            change = found
            changedAt = monotonicNanoseconds()
        }
        return change != nil
    }

    private func findChange() -> Change? {
        guard !isSpecial, let own = SinkFileStatus(descriptor) else { return nil }
        guard let there = SinkFileStatus(path), there.isSame(as: own) else {
            return own.links == 0 ? .deleted : .moved
        }
        if own.size < length { return .truncated(to: own.size) }
        // Somebody else has appended to it; that is never cut off.
        length = own.size
        return nil
    }

    /// Whoever rotates logs renames a file and makes the new one a moment later.
    private var isDue: Bool {
        guard case .moved? = change, owed.count + pending.count < Self.pendingLimit,
            SinkFileStatus(path) == nil
        else { return true }
        return monotonicNanoseconds() >= changedAt + Self.graceNanoseconds
    }

    private static let graceNanoseconds: UInt64 = 200_000_000
    private static let pendingLimit = 1 << 20

    private func follow(_ change: Change) throws(ConnectorError) {
        told = nil
        if case .truncated(let size) = change {
            length = SinkFileStatus(descriptor)?.size ?? size
            noteMissingBreak()
            rules.warn("\(shown): was truncated; rows are appended to it\n")
            return
        }
        let old = descriptor
        try SinkFile.makeFolders(for: path, shown: shown)
        let next = try openDescriptor(O_CREAT)
        do throws(ConnectorError) {
            if SinkFileStatus(next).map({ status?.isSame(as: $0) ?? false }) ?? false {
                // It has its name again.
                _ = Glibc.close(next)
                return
            }
            try lock(next)
            guard let found = SinkFileStatus(next), found.type == S_IFREG,
                found.size == 0 || rules.appends
            else {
                throw ConnectorError(
                    "error: \(shown): was replaced by a file that holds something already; "
                        + "move that one away and start again")
            }
            status = found
        } catch {
            Self.release(next)
            throw error
        }
        retired.append(old)
        descriptor = next
        length = status?.size ?? 0
        noteMissingBreak()
        let what = if case .deleted = change { "deleted" } else { "renamed" }
        rules.warn("\(shown): was \(what); rows go on in a new file\n")
    }

    // MARK: Positions

    /// Where it stands; nil for what has no position.
    func position() -> SinkFilePosition? {
        guard !isSpecial, let status else { return nil }
        if let told, told.inode == status.inode, told.length == length, told.owed == owed {
            return told
        }
        told = SinkFilePosition(
            path: shown, device: status.device, inode: status.inode, length: length,
            hash: tailHash(descriptor, before: length) ?? 0, owed: owed)
        return told
    }

    /// What has to be synced before the position counts.
    var descriptors: [Int32] { retired + [descriptor] }

    // MARK: The end

    /// Everything is in the file from here on.
    func finish() throws(ConnectorError) {
        // It may be renamed once more while the last rows are written.
        for _ in 0..<8 {
            try settle(isLast: true)
            try goOn()
            if change == nil { return }
        }
        throw ConnectorError("error: \(shown): is renamed again and again; rows are missing in it")
    }

    func close() {
        for descriptor in retired { Self.release(descriptor) }
        retired = []
        Self.release(descriptor)
        descriptor = -1
    }

    /// Gives back the lock by itself: a child that was just forked still has the file open.
    static func release(_ descriptor: Int32) {
        guard descriptor >= 0 else { return }
        _ = flock(descriptor, LOCK_UN)
        _ = Glibc.close(descriptor)
    }
}

extension SinkFileStatus {
    func isSame(as other: SinkFileStatus) -> Bool { inode == other.inode && device == other.device }
}
