internal import CSQLite
internal import Glibc
internal import Queueing
internal import Records

/// A SQLite file. One thread.
@safe
final class SQLiteFile {
    private var database: OpaquePointer?
    private let path: String
    /// What went wrong first.
    private(set) var failure: String?

    /// Opens a file, or makes one; with `isPrivate` for its owner alone.
    init?(_ path: String, isPrivate: Bool = false) {
        self.path = path
        if isPrivate {
            let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            if descriptor >= 0 { close(descriptor) }
        }
        guard unsafe sqlite3_open(path, &database) == SQLITE_OK else {
            unsafe sqlite3_close(database)
            return nil
        }
        // Who waits for the disk lets commits wait as well, and the file can be made anew.
        try? run("PRAGMA synchronous = OFF")
    }

    deinit { unsafe sqlite3_close(database) }

    /// Runs a statement with values for its question marks; `blob` is the last one.
    func run(
        _ text: String, _ values: [Value] = [], blob: [UInt8]? = nil
    ) throws(ControlFailure) {
        // Text is copied, which the library asks for with this pointer.
        let copies = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        var statement: OpaquePointer?
        var status = unsafe sqlite3_prepare_v2(database, text, -1, &statement, nil)
        for (index, value) in values.enumerated() where status == SQLITE_OK {
            let place = Int32(index + 1)
            switch value {
            case .integer(let number):
                status = unsafe sqlite3_bind_int64(statement, place, number)
            case .null: status = unsafe sqlite3_bind_null(statement, place)
            default:
                let text = value.text
                status = unsafe sqlite3_bind_text(
                    statement, place, text, Int32(text.utf8.count), copies)
            }
        }
        if let blob, status == SQLITE_OK {
            status = unsafe blob.withUnsafeBytes {
                unsafe sqlite3_bind_blob(
                    statement, Int32(values.count + 1), $0.baseAddress, Int32($0.count), copies)
            }
        }
        if status == SQLITE_OK { status = unsafe sqlite3_step(statement) }
        unsafe sqlite3_finalize(statement)
        guard status != SQLITE_DONE, status != SQLITE_ROW else { return }
        let reason = unsafe String(cString: sqlite3_errmsg(database))
        failure = failure ?? reason
        throw ControlFailure(1, "\(path): \(reason)")
    }

    /// The first column of every row.
    func texts(_ query: String) throws(ControlFailure) -> [String] {
        var rows: [String] = []
        try unsafe forEach(query) { unsafe rows.append(Self.text($0, 0)) }
        return rows
    }

    /// Compares the numbers and marks of a table with what is there, both in the order of numbers:
    /// the places in `live` of what is new or has changed, and the numbers of what is gone.
    /// With more than `limit` of what is new it ends early, and what it gives is not whole.
    func differences(
        in table: String, from live: [MessageMark], limit: Int = .max
    ) throws(ControlFailure) -> (fresh: [Int], gone: [UInt64], isWhole: Bool) {
        var fresh: [Int] = []
        var gone: [UInt64] = []
        var place = 0
        try unsafe forEach("SELECT number, mark FROM \(table) ORDER BY number") { row in
            let number = unsafe UInt64(bitPattern: sqlite3_column_int64(row, 0))
            while place < live.count, live[place].number < number {
                fresh.append(place)
                place += 1
            }
            if place < live.count, live[place].number == number {
                if unsafe live[place].word != Self.text(row, 1) { fresh.append(place) }
                place += 1
            } else {
                gone.append(number)
            }
        }
        while place < live.count, fresh.count <= limit {
            fresh.append(place)
            place += 1
        }
        return (Array(fresh.prefix(limit)), gone, fresh.count <= limit)
    }

    private func forEach(
        _ query: String, _ body: (OpaquePointer?) -> Void
    ) throws(ControlFailure) {
        var statement: OpaquePointer?
        var status = unsafe sqlite3_prepare_v2(database, query, -1, &statement, nil)
        if status == SQLITE_OK {
            status = unsafe sqlite3_step(statement)
            while status == SQLITE_ROW {
                unsafe body(statement)
                status = unsafe sqlite3_step(statement)
            }
        }
        unsafe sqlite3_finalize(statement)
        guard status != SQLITE_DONE else { return }
        let reason = unsafe String(cString: sqlite3_errmsg(database))
        throw ControlFailure(1, "\(path): \(reason)")
    }

    private static func text(_ row: OpaquePointer?, _ column: Int32) -> String {
        unsafe sqlite3_column_text(row, column).map { unsafe String(cString: $0) } ?? ""
    }
}
