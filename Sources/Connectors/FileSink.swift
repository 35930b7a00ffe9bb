package import Connecting
internal import Glibc

/// Rows into a file. With `--once` they go to a file beside it that takes its name at the end, so
/// nobody ever reads half a result. In a run that keeps positions the file is cut back to its last
/// committed length, and goes on from there.
final class FileSink: Sink {
    private let path: String
    private var partial: String?
    private let shown: String
    private let resumption: Resumption
    private let appends: Bool
    private var descriptor: Int32 = -1
    private var length: UInt64 = 0
    private var told: [UInt8] = []

    init(path: String, append: Bool, context: RunContext) throws(ConnectorError) {
        shown = path
        self.path = resolve(path, in: context.folder)
        resumption = context.resumption
        appends = append
        let type = fileType(self.path)
        if type == S_IFDIR {
            throw ConnectorError("error: \(path): is a directory; name a file in sinks.file.path")
        }
        try Self.makeFolders(for: self.path, shown: path)
        let isSpecial = type != nil && type != S_IFREG
        let known = resumption.positions[self.path].flatMap(Committed.init)
        if let known, !isSpecial {
            try goOn(known, context)
        } else if context.once && !append && !isSpecial {
            partial = Self.partialPath(self.path)
            try openFile(Self.partialPath(self.path), O_TRUNC)
        } else {
            try openFile(self.path, append || isSpecial ? O_APPEND : O_TRUNC)
            if append && !isSpecial { length = UInt64(max(lseek(descriptor, 0, SEEK_END), 0)) }
        }
    }

    /// How much of which file was committed.
    private struct Committed {
        var isPartial: Bool
        var length: UInt64

        init(isPartial: Bool, length: UInt64) {
            self.isPartial = isPartial
            self.length = length
        }

        init?(_ bytes: [UInt8]) {
            let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
            guard words.count == 2, let length = UInt64(words[1]) else { return nil }
            self.init(isPartial: words[0] == "partial", length: length)
        }

        var encoded: [UInt8] { Array("\(isPartial ? "partial" : "whole") \(length)".utf8) }
    }

    private static func partialPath(_ path: String) -> String {
        let name = path.split(separator: "/").last ?? ""
        return String(path.dropLast(name.count) + ".\(name).partial")
    }

    /// Opens what an earlier run has left and cuts off what it had not committed.
    private func goOn(_ known: Committed, _ context: RunContext) throws(ConnectorError) {
        let beside = Self.partialPath(path)
        // A run that was killed between the two may have renamed it already.
        let isPartial = known.isPartial && fileType(beside) == S_IFREG
        if isPartial && context.once {
            partial = beside
        } else if isPartial {
            try rename(beside)
        }
        try openFile(partial ?? path, 0)
        let size = UInt64(max(lseek(descriptor, 0, SEEK_END), 0))
        if !resumption.cutsUncommitted {
            try cutTornRow(size)
        } else if size >= known.length {
            try cut(to: known.length)
        } else {
            context.warn(
                "warning: \(shown): has \(size) bytes, \(known.length) were written; "
                    + "somebody has cut it, and what is gone does not come again\n")
            try cutTornRow(size)
        }
    }

    private func cut(to size: UInt64) throws(ConnectorError) {
        if ftruncate(descriptor, off_t(size)) != 0 || lseek(descriptor, 0, SEEK_END) < 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (cutting it)")
        }
        length = size
    }

    /// Rows that were not committed stay, but for one that was not finished.
    private func cutTornRow(_ size: UInt64) throws(ConnectorError) {
        var end = size
        var byte: UInt8 = 0
        while end > 0, unsafe pread(descriptor, &byte, 1, off_t(end - 1)) == 1, byte != 0x0A {
            end -= 1
        }
        try cut(to: end)
    }

    private func openFile(_ path: String, _ mode: Int32) throws(ConnectorError) {
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | mode, 0o666)
        if descriptor < 0, errno == EACCES || errno == ENXIO || errno == EINVAL {
            // A device or a pipe may be writable only.
            descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0o666)
        }
        if descriptor < 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)); the sink cannot be opened")
        }
    }

    private static func makeFolders(for path: String, shown: String) throws(ConnectorError) {
        var at = path.startIndex
        while let slash = path[at...].firstIndex(of: "/") {
            let folder = String(path[..<slash])
            at = path.index(after: slash)
            if folder.isEmpty || fileType(folder) == S_IFDIR { continue }
            if unsafe mkdir(folder, 0o777) != 0 && errno != EEXIST {
                throw ConnectorError("error: \(shown): \(systemText(errno)) (creating \(folder))")
            }
        }
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        do {
            try unsafe writeAll(descriptor, rows, shown: shown)
            length += UInt64(rows.count)
        } catch {
            throw ConnectorError("error: \(error.description); the rows were not written")
        }
    }

    func flush() throws(ConnectorError) {}

    func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void) {
        guard resumption.isKept else { return }
        let now = Committed(isPartial: partial != nil, length: length).encoded
        // An empty file needs no mention where it is begun anew without one.
        guard now != told, appends || !(told.isEmpty && length == 0) else { return }
        told = now
        body(path, now)
    }

    var syncer: (@Sendable () throws(ConnectorError) -> Void)? {
        let descriptor = descriptor
        let shown = shown
        return { () throws(ConnectorError) in
            // Pipes and devices have nothing to wait for.
            if fdatasync(descriptor) != 0, errno != EINVAL, errno != EROFS {
                throw ConnectorError("error: \(shown): \(systemText(errno)) (fdatasync)")
            }
        }
    }

    func finish() throws(ConnectorError) {
        defer { closeDescriptor() }
        guard let partial else { return }
        if fsync(descriptor) != 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (fsync)")
        }
        try rename(partial)
        self.partial = nil
    }

    private func rename(_ partial: String) throws(ConnectorError) {
        if unsafe Glibc.rename(partial, path) != 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (rename)")
        }
    }

    func abandon() {
        closeDescriptor()
        // The next run goes on with what was committed.
        if let partial, !resumption.isKept { unsafe unlink(partial) }
    }

    private func closeDescriptor() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    deinit { closeDescriptor() }
}

extension SinkKind {
    /// `file`: JSON lines into a file.
    package static let file = SinkKind(name: "file", section: .fileSink) { reader in
        let path = reader.string("path")
        let append = reader.bool("append") ?? false
        // Says that readers know revised rows; what is written stays the same.
        _ = reader.bool("upsert")
        guard let path else { return nil }
        return { (context: RunContext) throws(ConnectorError) -> OpenedSink in
            .rows(try FileSink(path: path, append: append, context: context))
        }
    }
}

extension SectionSpecification {
    fileprivate static let fileSink = SectionSpecification(
        "sink.file",
        """
        Rows into a file, each one JSON text and a line break. Folders of its path are made. With \
        `--once` the file takes its name at the end of the run, so nobody reads half a result.
        """,
        keys: [
            .required(
                "path", .text("a file"),
                "The file, relative to the pipeline folder; no other sink may write to it.",
                example: "out/orders.jsonl"),
            .optional(
                "append", .flag, usual: .flag(false),
                "Rows go behind what the file holds already; without it a new store begins the "
                    + "file anew.",
                example: "true"),
            .upsert,
        ])
}

extension KeySpecification {
    static let upsert = KeySpecification.optional(
        "upsert", .flag, usual: .flag(false),
        "Says that readers keep the last revision of a row, so that windows may revise theirs.",
        example: "true")
}
