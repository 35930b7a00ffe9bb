package import Connecting
internal import Glibc
internal import Records

/// Rows to standard output.
final class StdoutSink: Sink {
    private let descriptor: Int32

    /// Creates the sink; another descriptor than that of stdout is for tests.
    init(descriptor: Int32 = 1) { self.descriptor = descriptor }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        do {
            try unsafe writeAll(descriptor, rows, shown: "stdout")
        } catch {
            throw ConnectorError("error: \(error.description)")
        }
    }
    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) {}
    func abandon() {}
}

/// Rows to standard output once they are kept; each may carry its key.
final class StdoutOutbox: OutboxSink {
    /// The first member of a row up to the number of its key; nil without one.
    private let keyField: [UInt8]?
    private let descriptor: Int32
    private var piece: [UInt8] = []
    /// Sent by `giveUp`.
    private let wake: Wake
    private let isPipe: Bool

    /// Creates the sink; with a field, each row begins with its key under that name.
    init(keyField: String?, descriptor: Int32 = 1) {
        self.descriptor = descriptor
        self.keyField = keyField.map { Value.string($0).json + [0x3A] }
        wake = Wake()
        var status = stat()
        isPipe = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    func giveUp() { wake.send() }

    func deliver(
        _ rows: UnsafeRawBufferPointer, count: Int, first: RowKey
    ) throws(ConnectorError) {
        var key = first
        var rest = unsafe rows[...]
        while unsafe !rest.isEmpty {
            let end = unsafe (rest.firstIndex(of: 0x0A) ?? rest.endIndex - 1) + 1
            let row = unsafe UnsafeRawBufferPointer(rebasing: rest[..<end])
            let start = piece.count
            unsafe append(row, key)
            // A pipe takes so much whole or not at all, and a kill then tears no row.
            if piece.count > Self.wholeBytes, start > 0 {
                try write(piece[..<start])
                piece.removeFirst(start)
            }
            key.number += 1
            unsafe rest = rest[end...]
        }
        try write(piece[...])
        piece.removeAll(keepingCapacity: piece.count <= Self.wholeBytes * 2)
    }

    /// `PIPE_BUF` of the system.
    private static let wholeBytes = 4096

    private func write(_ bytes: ArraySlice<UInt8>) throws(ConnectorError) {
        var rest = bytes
        while !rest.isEmpty {
            guard waitWritable(descriptor, unless: wake.descriptor) else {
                throw ConnectorError("error: stdout: nobody takes the rows")
            }
            // A pipe with some room takes so much without waiting.
            let part = isPipe ? rest.prefix(Self.wholeBytes) : rest
            do throws(ConnectorError) {
                try unsafe part.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
                    try unsafe writeAll(descriptor, bytes, shown: "stdout")
                }
            } catch {
                throw ConnectorError("error: \(error.description)")
            }
            rest = rest.dropFirst(part.count)
        }
    }

    /// Adds a row, with its key as the first member if that is wanted.
    private func append(_ row: UnsafeRawBufferPointer, _ key: RowKey) {
        guard let keyField, let brace = unsafe row.firstIndex(of: 0x7B) else {
            unsafe piece.append(contentsOf: row)
            return
        }
        let members = unsafe row[(brace + 1)...]
        let isEmpty = unsafe members.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D } == 0x7D
        unsafe piece.append(contentsOf: row[...brace])
        piece += keyField
        piece += Value.string(key.description).json
        if !isEmpty { piece.append(0x2C) }
        unsafe piece.append(contentsOf: members)
    }

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
    /// `stdout`: JSON lines to standard output, at once or, with `outbox: true`, once their commit
    /// is kept.
    package static let stdout = SinkKind(
        name: "stdout", section: .stdoutSink, outbox: outboxLocation
    ) { reader in
        // Says that readers know revised rows; what is written stays the same.
        _ = reader.bool("upsert")
        let hasOutbox = reader.bool("outbox") ?? false
        let keyField = reader.string("key_field")
        return { (_: RunContext) throws(ConnectorError) -> OpenedSink in
            hasOutbox ? .outbox(StdoutOutbox(keyField: keyField)) : .rows(StdoutSink())
        }
    }

    /// Where `outbox: true` stands; nil without it.
    private static func outboxLocation(of setting: Setting) -> Location? {
        guard case .mapping(let entries) = setting.content,
            let value = entries.first(where: { $0.key == "outbox" })?.value,
            case .scalar("true", quoted: false) = value.content
        else { return nil }
        return value.location
    }

    /// `null`: counts the rows and forgets them.
    package static let null = SinkKind(name: "null", section: .nullSink, isAppendOnly: false) { _ in
        { (_: RunContext) throws(ConnectorError) -> OpenedSink in .rows(NullSink()) }
    }
}

extension SectionSpecification {
    fileprivate static let stdoutSink = SectionSpecification(
        "sink.stdout", "Rows to standard output, each one JSON text and a line break.",
        keys: [
            .optional(
                "outbox", .flag, usual: .flag(false),
                "Rows go out once their commit is kept, and come again after a kill.",
                example: "true"),
            .optional(
                "key_field", .text("a field"), usual: .described("rows go out as they are"),
                "Each row begins with a field of this name that holds its key, the same each time.",
                example: "_key"),
            .upsert,
        ],
        rules: [
            .needsTrue("key_field", "outbox", why: "rows that go out at once have no stable key")
        ])

    fileprivate static let nullSink = SectionSpecification(
        "sink.null", "Rows to nowhere; they are only counted.", keys: [])
}
