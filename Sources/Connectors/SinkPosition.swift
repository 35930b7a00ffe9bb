internal import Glibc
internal import Records

/// How much of which file is committed.
struct SinkFilePosition: Hashable {
    /// The file's path from the pipeline folder.
    var path: String
    /// Which file it is, whatever its name.
    var device: UInt64
    var inode: UInt64
    var length: UInt64
    /// Of the last bytes before that length.
    var hash: UInt64
    /// Rows that are committed and not in the file: they are written before all others.
    var owed: [UInt8] = []
    /// Of a rolled file: the number of its first row, and a time within its period.
    var first: UInt64 = 0
    var time: Int64 = 0
    /// Of a rolled file: it gets its final name.
    var isClosed = false
}

/// Where a sink of files stands, as it is kept in the store.
struct SinkPosition: Hashable {
    var files: [SinkFilePosition] = []
    /// The columns of CSV, once they are known.
    var columns: [String]?
    /// Of a rolling sink: rows written so far, and the newest time in them.
    var rows: UInt64 = 0
    var newest: Int64?

    init() {}

    /// Nil when the bytes are no such position.
    init?(_ bytes: [UInt8]) {
        let head = bytes.prefix { $0 != 0x0A }
        var reader = JSONReader(Array(head))
        guard case .object(let fields)? = try? reader.readDocument() else { return nil }
        let record = Record(fields)
        guard case .array(let items)? = record["files"] else { return nil }
        var rest = bytes.dropFirst(head.count + 1)
        for item in items {
            guard case .object(let fields) = item,
                let file = Self.file(Record(fields), &rest)
            else { return nil }
            files.append(file)
        }
        if case .array(let names)? = record["columns"] { columns = names.map(\.text) }
        rows = Self.number(record["rows"])
        if case .integer(let time)? = record["newest"] { newest = time }
    }

    private static func file(
        _ record: Record, _ rest: inout ArraySlice<UInt8>
    ) -> SinkFilePosition? {
        guard let path = record["path"]?.text, record["inode"] != nil else { return nil }
        let owed = Int(number(record["owed"]))
        guard owed <= rest.count else { return nil }
        defer { rest = rest.dropFirst(owed) }
        var time: Int64 = 0
        if case .integer(let number)? = record["time"] { time = number }
        return SinkFilePosition(
            path: path, device: number(record["device"]), inode: number(record["inode"]),
            length: number(record["length"]), hash: number(record["hash"]),
            owed: Array(rest.prefix(owed)), first: number(record["first"]), time: time,
            isClosed: record["closed"] == .boolean(true))
    }

    private static func number(_ value: Value?) -> UInt64 {
        if case .integer(let number)? = value { UInt64(bitPattern: number) } else { 0 }
    }

    /// One line of JSON, then the rows that are owed.
    var encoded: [UInt8] {
        var fields = [Field("files", .array(files.map(Self.value)))]
        if let columns { fields.append(Field("columns", .array(columns.map { .string($0) }))) }
        if rows > 0 { fields.append(Field("rows", Self.value(rows))) }
        if let newest { fields.append(Field("newest", .integer(newest))) }
        return Value.object(fields).json + [0x0A] + files.flatMap(\.owed)
    }

    private static func value(_ number: UInt64) -> Value { .integer(Int64(bitPattern: number)) }

    private static func value(_ file: SinkFilePosition) -> Value {
        var fields = [
            Field("path", .string(file.path)), Field("device", value(file.device)),
            Field("inode", value(file.inode)), Field("length", value(file.length)),
            Field("hash", value(file.hash)),
        ]
        if !file.owed.isEmpty { fields.append(Field("owed", value(UInt64(file.owed.count)))) }
        if file.first > 0 {
            fields += [Field("first", value(file.first)), Field("time", .integer(file.time))]
        }
        if file.isClosed { fields.append(Field("closed", true)) }
        return .object(fields)
    }
}

/// How much of a file was committed by a version that noted no more than that.
struct OlderSinkPosition {
    /// The rows are in a file beside it that was to take its name at the end.
    var isPartial: Bool
    var length: UInt64

    init?(_ bytes: [UInt8]) {
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard words.count == 2, ["partial", "whole"].contains(words[0]),
            let length = UInt64(words[1])
        else { return nil }
        isPartial = words[0] == "partial"
        self.length = length
    }

    /// The one of a path among the positions of a sink. They stood under whole paths, which are
    /// others when the folder was moved.
    static func find(in positions: [String: [UInt8]], path: String) -> Self? {
        let found = positions.filter { $0.key == path || $0.key.hasSuffix("/" + path) }
        return found.values.lazy.compactMap { Self($0) }.first
    }

    /// Where the rows are before the file takes its name.
    static func partialPath(_ path: String) -> String {
        let name = path.split(separator: "/").last ?? ""
        return String(path.dropLast(name.count) + ".\(name).partial")
    }
}

/// What the system says of a file.
struct SinkFileStatus {
    var device: UInt64
    var inode: UInt64
    var size: UInt64
    var links: Int
    var type: mode_t

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = UInt64(max(status.st_size, 0))
        links = Int(status.st_nlink)
        type = status.st_mode & S_IFMT
    }

    /// Nil when there is nothing at the path.
    init?(_ path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    init?(_ descriptor: Int32) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }
}

/// The FNV-1a hash of the last bytes before a length; nil when the file is shorter.
func tailHash(_ descriptor: Int32, before length: UInt64) -> UInt64? {
    let count = Int(min(length, 4096))
    var bytes = [UInt8](repeating: 0, count: count)
    let read = unsafe bytes.withUnsafeMutableBytes {
        unsafe pread(descriptor, $0.baseAddress, count, off_t(length) - off_t(count))
    }
    guard read == count else { return nil }
    return bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
