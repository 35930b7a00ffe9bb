internal import Glibc
public import Stages

/// Rows into a file. With `--once` they go to a file beside it that takes its name at the end, so
/// nobody ever reads half a result.
final class FileSink: Sink {
    private let path: String
    private let partial: String?
    private let shown: String
    private var descriptor: Int32

    init(path: String, append: Bool, context: RunContext) throws(ConnectorError) {
        shown = path
        self.path = resolve(path, in: context.folder)
        let type = fileType(self.path)
        if type == S_IFDIR {
            throw ConnectorError("error: \(path): is a directory; name a file in sinks.file.path")
        }
        try Self.makeFolders(for: self.path, shown: path)
        let isSpecial = type != nil && type != S_IFREG
        let flags = O_WRONLY | O_CREAT | O_CLOEXEC
        if context.once && !append && !isSpecial {
            let name = self.path.split(separator: "/").last ?? ""
            let beside = self.path.dropLast(name.count) + ".\(name).partial"
            partial = String(beside)
            descriptor = unsafe open(String(beside), flags | O_TRUNC, 0o666)
        } else {
            partial = nil
            let mode = append || isSpecial ? O_APPEND : O_TRUNC
            descriptor = unsafe open(self.path, flags | mode, 0o666)
        }
        if descriptor < 0 {
            throw ConnectorError("error: \(path): \(systemText(errno)); the sink cannot be opened")
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
        } catch {
            throw ConnectorError("error: \(error.description); the rows were not written")
        }
    }

    func flush() throws(ConnectorError) {}

    func finish() throws(ConnectorError) {
        defer { closeDescriptor() }
        guard let partial else { return }
        if fsync(descriptor) != 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (fsync)")
        }
        if unsafe rename(partial, path) != 0 {
            throw ConnectorError("error: \(shown): \(systemText(errno)) (rename)")
        }
    }

    func abandon() {
        closeDescriptor()
        if let partial { unsafe unlink(partial) }
    }

    private func closeDescriptor() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    deinit { closeDescriptor() }
}

extension SinkKind {
    /// `file`: JSON lines into a file.
    public static let file = SinkKind(name: "file") { setting, diagnostics in
        var reader = SettingReader(setting, what: "sink.file")
        reader.require("path")
        let path = reader.string("path")
        let append = reader.bool("append") ?? false
        // Says that readers know revised rows; what is written stays the same.
        _ = reader.bool("upsert")
        let found = reader.finish()
        diagnostics += found
        guard found.isEmpty, let path else { return nil }
        return { (context: RunContext) throws(ConnectorError) -> any Sink in
            try FileSink(path: path, append: append, context: context)
        }
    }
}
