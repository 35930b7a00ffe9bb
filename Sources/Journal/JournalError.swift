/// Why a journal cannot go on: where, what, and what to do next.
public struct JournalError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kinds of failure; more may be added.
    public enum Code: Sendable, Hashable {
        /// Another process has the store.
        case owned
        /// A newer version wrote the store.
        case newerFormat
        /// Bytes changed in the middle of the log, or in all snapshots.
        case damaged
        /// A call to the system failed.
        case disk
        /// It was closed, or failed before.
        case closed
        /// What was asked for makes no sense.
        case misuse
    }

    /// The kind of failure.
    public let code: Code
    /// Where, what, and what to do next.
    public let description: String

    /// Says it in words: where, what, and what to do next.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    init(_ error: DiskError) { self.init(.disk, error.description) }

    static func damaged(_ path: String, at offset: Int, _ what: String) -> JournalError {
        JournalError(
            .damaged,
            "\(path): damaged at byte \(offset): \(what); nothing was changed; "
                + "`tidewheel store repair` moves the damaged bytes to quarantine")
    }

    /// Runs calls to the system and says what failed in the journal's own terms.
    static func wrap<Value>(
        _ body: () throws(DiskError) -> Value
    ) throws(JournalError) -> Value {
        do throws(DiskError) { return try body() } catch { throw JournalError(error) }
    }
}
