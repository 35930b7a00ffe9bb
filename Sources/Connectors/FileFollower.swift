internal import Connecting
internal import Glibc
internal import Records
internal import Threads

/// Reads files as they grow: looks at all of them now and then, and at once where the system tells
/// that something has happened.
final class FileFollower {
    private let watch = FolderWatch()
    /// All folders are watched, so that looking is only a precaution.
    private var isWatching = false
    /// There are pipes, which tell nothing of what is written into them.
    private var hasStreams = false
    private var isFirst = true
    private var nextLook: UInt64 = 0
    private var calls = 0
    /// Files that were renamed, by when they were last seen to grow, in nanoseconds.
    private var renamed: [(file: SourceFile, since: UInt64)] = []

    /// A renamed file is closed, and its last line taken for whole, when nothing has come for so
    /// long.
    private static let patience: UInt64 = 10_000_000_000

    func follow(
        _ source: FileSource, into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) -> SourceOutcome {
        calls += 1
        if source.queue.isEmpty || calls % 64 == 0 { look(source) }
        if source.queue.isEmpty, milliseconds > 0 {
            wait(milliseconds)
            look(source)
        }
        while let file = next(source) {
            do throws(ConnectorError) {
                if try read(file, source, into: batch, limit) { return .records }
            } catch {
                fail(file, source, error.description)
            }
        }
        return .nothingYet
    }

    /// Sleeps until something happens, but not beyond the next look.
    private func wait(_ milliseconds: Int) {
        let now = monotonicNanoseconds()
        let left = nextLook > now ? Int((nextLook - now) / 1_000_000) + 1 : 0
        let time = min(milliseconds, max(left, 1))
        if let watch, isWatching, !hasStreams {
            watch.wait(milliseconds: time)
        } else {
            usleep(UInt32(time) * 1000)
        }
    }

    // MARK: Reading

    /// The next file in turn that has not to wait for another.
    private func next(_ source: FileSource) -> SourceFile? {
        for _ in source.queue.indices {
            let file = source.queue[0]
            if let before = file.predecessor {
                if before.isQueued {
                    source.queue.append(source.queue.removeFirst())
                    continue
                }
                file.predecessor = nil
            }
            return file
        }
        return source.queue.first
    }

    /// True when there were records; at its end the file leaves the queue.
    private func read(
        _ file: SourceFile, _ source: FileSource, into batch: Batch, _ limit: ReadLimit
    ) throws(ConnectorError) -> Bool {
        source.note(last: file)
        guard let cursor = try source.register.cursor(of: file) else {
            try replace(file, source)
            return false
        }
        switch try cursor.read(into: batch, limit: limit, milliseconds: 0) {
        case .bytes:
            source.register.touch(file)
            // Others have their turn.
            source.queue.removeFirst()
            source.queue.append(file)
            return true
        case .replaced where cursor.reader.isPacked && !file.isAway:
            // Perhaps it was packed once more.
            source.register.close(file)
            return false
        case .replaced:
            return try leaveContent(of: file, source, cursor, into: batch)
        case .nothingYet:
            leaveQueue(file, source)
            return false
        case .end:
            return try end(file, source, cursor, into: batch)
        }
    }

    /// What was read of a file is no longer in it. Perhaps a copy was made before, which holds
    /// more; else what is left of its text is the last record.
    private func leaveContent(
        of file: SourceFile, _ source: FileSource, _ cursor: FileCursor, into batch: Batch
    ) throws(ConnectorError) -> Bool {
        try replace(file, source)
        guard !file.isLive, try hasRest(cursor) else { return false }
        let isTaken = try cursor.takeRest(into: batch)
        file.position = cursor.position(before: nil, file.position)
        source.register.touch(file)
        return isTaken
    }

    private func hasRest(_ cursor: FileCursor) throws(ConnectorError) -> Bool {
        if case .nothing = try cursor.rest() { false } else { true }
    }

    private func replace(_ file: SourceFile, _ source: FileSource) throws(ConnectorError) {
        leaveQueue(file, source)
        guard FileStatus(path: file.path)?.identity == file.position.identity else {
            source.register.drop(file)
            return
        }
        for new in try source.register.replace(file, waits: true) { enqueue(new, source) }
    }

    private func leaveQueue(_ file: SourceFile, _ source: FileSource) {
        source.queue.removeAll { $0 === file }
        file.isQueued = false
    }

    private func end(
        _ file: SourceFile, _ source: FileSource, _ cursor: FileCursor, into batch: Batch
    ) throws(ConnectorError) -> Bool {
        if cursor.reader.endsEarly, !file.hasToldEarlyEnd {
            file.hasToldEarlyEnd = true
            source.warn("\(file.shown): the packed data ends too early; more of it is waited for")
        }
        leaveQueue(file, source)
        // As it was before the last read: what was written since then is a change.
        file.status = cursor.reader.intact
        guard file.isAway else { return false }
        let isDeleted = FileStatus(descriptor: cursor.reader.descriptor)?.links == 0
        let isOver = isDeleted || isQuiet(file)
        let rest = try cursor.rest()
        var isTaken = false
        if case .record = rest { isTaken = try cursor.takeRest(into: batch) }
        if case .part = rest, isOver { isTaken = try cursor.takeRest(into: batch) }
        if isTaken { source.register.touch(file) }
        if isOver, !isTaken {
            source.register.drop(file)
            renamed.removeAll { $0.file === file }
        } else if isOver {
            enqueue(file, source)
        }
        return isTaken
    }

    private func isQuiet(_ file: SourceFile) -> Bool {
        guard let since = renamed.first(where: { $0.file === file })?.since else { return false }
        return monotonicNanoseconds() - since >= Self.patience
    }

    private func fail(_ file: SourceFile, _ source: FileSource, _ text: String) {
        leaveQueue(file, source)
        source.fail(file, text)
        file.problem = text
        file.status = FileStatus(path: file.path)
        tell(text, source)
    }

    private func tell(_ text: String, _ source: FileSource) {
        source.warn("\(text); the file is left alone until it changes")
        source.report()
    }

    private func enqueue(_ file: SourceFile, _ source: FileSource) {
        guard !file.isQueued else { return }
        file.isQueued = true
        source.queue.append(file)
    }

    // MARK: Looking

    /// Takes in what the system has told; looks at all files when it is time.
    private func look(_ source: FileSource) {
        let now = monotonicNanoseconds()
        var isDue = now >= nextLook
        if let watch {
            let news = watch.news()
            for path in news.written {
                guard let file = source.register.holder(of: path), file.problem == nil else {
                    isDue = true
                    continue
                }
                enqueue(file, source)
            }
            isDue = isDue || news.hasOther
        }
        guard isDue else { return }
        lookAtAll(source)
        let end = monotonicNanoseconds()
        // Looking must not cost more than half a percent of a core.
        let pause: UInt64 = isWatching && !hasStreams ? 250_000_000 : 20_000_000
        nextLook = end + max(pause, (end - now) * 200)
    }

    private func lookAtAll(_ source: FileSource) {
        var folders: Set<String> = []
        var seen: Set<String> = []
        var new: [FoundFile] = []
        for pattern in source.patterns {
            for found in pattern.files(folders: &folders) where seen.insert(found.path).inserted {
                let status = FileStatus(path: found.path)
                if look(at: found, status, source) { new.append(found) }
            }
        }
        for file in source.register.live where !file.isAway && !seen.contains(file.path) {
            if FileStatus(path: file.path)?.identity != file.position.identity {
                leave(file, source)
            }
        }
        source.problems = source.problems.filter { seen.contains($0.key) }
        // Folders first: what comes while files are opened is told then.
        isWatching = watch?.watch(folders) ?? false
        for found in new { admit(found, source) }
        lookAtRenamed(source)
        if isFirst || !new.isEmpty { source.report() }
        isFirst = false
    }

    /// True when the path leads to a file that is not known under it.
    private func look(at found: FoundFile, _ status: FileStatus?, _ source: FileSource) -> Bool {
        guard let file = source.register.holder(of: found.path) else {
            guard status != nil || isFirst || found.path == "-" else { return false }
            if let problem = source.problems[found.path] { return problem.status != status }
            return true
        }
        if found.path == "-" || status?.isRegular == false {
            hasStreams = true
            enqueue(file, source)
            return false
        }
        guard let status, status.identity == file.position.identity else {
            leave(file, source)
            return status != nil
        }
        guard status != file.status else { return false }
        file.status = status
        if file.problem != nil {
            file.problem = nil
            source.problems[file.path] = nil
            source.report()
        }
        enqueue(file, source)
        return false
    }

    private func leave(_ file: SourceFile, _ source: FileSource) {
        if file.problem != nil {
            source.problems[file.path] = nil
            source.register.drop(file)
            return
        }
        source.register.leave(file)
        renamed.append((file, monotonicNanoseconds()))
        enqueue(file, source)
    }

    private func admit(_ found: FoundFile, _ source: FileSource) {
        do throws(ConnectorError) {
            for file in try source.register.admit(
                found, isFirst: isFirst, waits: true)
            {
                // What was not read of a file yet is not read from its copy.
                if let original = file.original, original.isLive { enqueue(original, source) }
                enqueue(file, source)
            }
            if source.problems.removeValue(forKey: found.path) != nil { source.report() }
        } catch {
            let status = FileStatus(path: found.path)
            // A path that is to be there some day is waited for.
            if status == nil { return }
            source.problems[found.path] = (status, error.description)
            tell(error.description, source)
        }
    }

    /// Files that have no path of ours any more: they are read while they grow or exist.
    private func lookAtRenamed(_ source: FileSource) {
        for index in renamed.indices {
            let file = renamed[index].file
            guard let cursor = file.cursor, let old = file.status,
                let now = FileStatus(descriptor: cursor.reader.descriptor)
            else { continue }
            if now.size != old.size { renamed[index].since = monotonicNanoseconds() }
            if now != old || isQuiet(file) { enqueue(file, source) }
        }
        renamed.removeAll { !$0.file.isAway || !$0.file.isLive }
    }
}
