internal import Connecting
internal import Glibc
internal import Records

/// Records from files, one after the other, or from several that are followed as they grow.
final class FileSource: Source {
    /// What is done with a last line that has no line break.
    enum LastLine: String {
        case auto, deliver, wait
    }

    /// The options of `pipeline.yaml`.
    struct Options: Sendable {
        var paths: [String]
        var format: String?
        var follow = false
        var delimiter: UInt8?
        var csv = CSVOptions()
        var fromEnd = false
        var lastLine = LastLine.auto
        var maxOpenFiles = 256

        init(paths: [String]) { self.paths = paths }
    }

    let options: Options
    let context: RunContext
    let register: FileRegister
    let patterns: [FilePattern]
    /// Files that were found and not opened yet.
    private var found: [FoundFile] = []
    /// Files to be read, the first one next.
    var queue: [SourceFile] = []
    /// What cannot be read, by path, as it was when that was noticed.
    var problems: [String: (status: FileStatus?, text: String)] = [:]
    /// Files that were opened and have given what they could.
    private var readCount = 0
    private var told = -1
    /// The file that was read last.
    private var last: SourceFile?
    /// Followed files.
    var follower: FileFollower?

    init(_ options: Options, context: RunContext) throws(ConnectorError) {
        self.options = options
        self.context = context
        register = FileRegister(options, context)
        let isReplaced = !context.inputs.isEmpty
        let folder = isReplaced ? "" : context.folder
        patterns = (isReplaced ? context.inputs : options.paths).map {
            FilePattern($0, in: folder)
        }
        if options.follow && !context.once {
            follower = FileFollower()
            return
        }
        var folders: Set<String> = []
        for pattern in patterns {
            let files = pattern.files(folders: &folders)
            if files.isEmpty && !options.follow {
                throw ConnectorError(
                    "\(pattern.text): no file matches; check source.file.path")
            }
            found += files.filter { !found.contains($0) }
        }
        // A single file that cannot be opened is said at once.
        while queue.isEmpty, !found.isEmpty { openNext() }
        if queue.isEmpty, let first = problems.values.first, !options.follow {
            throw ConnectorError(first.text)
        }
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        if let follower {
            return follower.follow(self, into: batch, limit: limit, milliseconds: milliseconds)
        }
        while true {
            guard let file = queue.first else {
                if found.isEmpty { return try end() }
                openNext()
                continue
            }
            do throws(ConnectorError) {
                if let outcome = try read(file, into: batch, limit, milliseconds) { return outcome }
            } catch {
                fail(file, error.description)
            }
        }
    }

    private func openNext() {
        let next = found.removeFirst()
        do throws(ConnectorError) {
            let files = try register.admit(next, isFirst: true)
            queue += files
            if files.isEmpty, FileStatus(path: next.path)?.size == 0 { readCount += 1 }
        } catch {
            problems[next.path] = (FileStatus(path: next.path), error.description)
        }
    }

    /// Nil when the file has no more.
    private func read(
        _ file: SourceFile, into batch: Batch, _ limit: ReadLimit, _ milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome? {
        last = file
        guard let cursor = try register.cursor(of: file) else {
            queue = try register.replace(file, waits: false) + queue.dropFirst()
            return nil
        }
        switch try cursor.read(into: batch, limit: limit, milliseconds: milliseconds) {
        case .bytes:
            register.touch(file)
            return .records
        case .nothingYet: return .nothingYet
        case .replaced where cursor.reader.isPacked:
            // Perhaps it was packed once more.
            register.close(file)
            return nil
        case .replaced:
            var isTaken = false
            if case .nothing = try cursor.rest() {
            } else {
                isTaken = try cursor.takeRest(into: batch)
            }
            queue = try register.replace(file, waits: false) + queue.dropFirst()
            return isTaken ? .records : nil
        case .end:
            if cursor.reader.endsEarly {
                throw ConnectorError("\(file.shown): the packed data ends too early")
            }
            if try takesRest(of: file, cursor), try cursor.takeRest(into: batch) {
                register.touch(file)
                return .records
            }
            queue.removeFirst()
            register.close(file)
            readCount += 1
            report()
            return nil
        }
    }

    /// Is what stands behind the last whole record taken for one?
    private func takesRest(of file: SourceFile, _ cursor: FileCursor) throws(ConnectorError) -> Bool
    {
        let rest = try cursor.rest()
        if case .nothing = rest { return false }
        switch options.lastLine {
        case .deliver: return true
        case .wait: break
        case .auto:
            if case .record = rest { return true }
            let status = FileStatus(descriptor: cursor.reader.descriptor)
            let canGrow =
                context.resumption.isKept && cursor.reader.opened.isRegular
                && file.path != "-" && !cursor.reader.isPacked
            let isQuiet = cursor.isCSV && (status?.quiet ?? .max) >= 10_000_000_000
            if !canGrow || isQuiet { return true }
        }
        warn(
            "\(file.shown): the last line has no line break yet and waits for the next run; "
                + "`last_line: deliver` takes it at once")
        return false
    }

    func warn(_ text: String) { context.warn("warning: \(text)\n") }

    // MARK: Failures

    /// What is wrong with one file is no matter of the others.
    func fail(_ file: SourceFile, _ text: String) {
        queue.removeAll { $0 === file }
        register.close(file)
        register.touch(file)
        problems[file.path] = (FileStatus(path: file.path), text)
    }

    /// All files were read as far as they can be.
    private func end() throws(ConnectorError) -> SourceOutcome {
        report(hasEnded: true)
        if context.noteFiles == nil, let first = problems.values.first {
            throw ConnectorError(first.text)
        }
        return .end
    }

    /// Tells how many files were read, and which were not.
    func report(hasEnded: Bool = false) {
        guard let noteFiles = context.noteFiles else { return }
        let read =
            follower == nil
            ? readCount : register.live.count { problems[$0.path] == nil }
        let failed = problems.sorted { $0.key < $1.key }.map(\.value.text)
        var counts = FileCounts(read: read, failed: failed)
        counts.hasEnded = hasEnded
        noteFiles(counts)
    }

    // MARK: Positions

    func takePositions(
        before next: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        guard context.resumption.isKept else { return }
        register.takePositions(last: last, before: next, body)
    }

    /// This file is being read.
    func note(last file: SourceFile) { last = file }
}
