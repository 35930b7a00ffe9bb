internal import Glibc
public import Stages

/// Rows to standard output.
final class StdoutSink: Sink {
    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        do {
            try unsafe writeAll(1, rows, shown: "stdout")
        } catch {
            throw ConnectorError("error: \(error.description)")
        }
    }
    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) {}
    func abandon() {}
}

/// Rows to nowhere; they are only counted.
final class NullSink: Sink {
    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {}
    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) {}
    func abandon() {}
}

extension SinkKind {
    /// `stdout`: JSON lines to standard output.
    public static let stdout = SinkKind(name: "stdout") { setting, diagnostics in
        var reader = SettingReader(setting, what: "sink.stdout")
        // Says that readers know revised rows; what is written stays the same.
        _ = reader.bool("upsert")
        diagnostics += reader.finish()
        return { (_: RunContext) throws(ConnectorError) -> any Sink in StdoutSink() }
    }
    /// `null`: counts the rows and forgets them.
    public static let null = SinkKind(name: "null", isAppendOnly: false) { setting, diagnostics in
        diagnostics += SettingReader(setting, what: "sink.null").finish()
        return { (_: RunContext) throws(ConnectorError) -> any Sink in NullSink() }
    }
}
