internal import CScripting

/// Why a rule set could not be loaded or run: text with `FILE:LINE` where it is known.
public struct RuleError: Error, Sendable, CustomStringConvertible {
    /// What happened.
    public let description: String

    /// Creates an error from its text.
    public init(_ description: String) { self.description = description }

    init(_ status: tw_status) {
        var message = status.message
        description = unsafe withUnsafeBytes(of: &message) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
