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
    public static let stdout = simple("stdout") { StdoutSink() }
    /// `null`: counts the rows and forgets them.
    public static let null = simple("null") { NullSink() }

    private static func simple(
        _ name: String, _ make: @escaping @Sendable () -> any Sink
    ) -> SinkKind {
        SinkKind(name: name) { setting, diagnostics in
            diagnostics += SettingReader(setting, what: "sink.\(name)").finish()
            return { (_: RunContext) throws(ConnectorError) -> any Sink in make() }
        }
    }
}
