public import Windowing

/// The time that records carry.
public struct TimeDefinition: Sendable, Hashable {
    /// The field that holds it.
    public var field: String
    /// How it is written there.
    public var format = TimeFormat.rfc3339
    /// Where the clock stood that a time by pattern was read from, when it names no offset itself.
    public var zone = TimeZoneRules.utc
    /// How late a record may come after a newer one, in milliseconds.
    public var outOfOrdernessMilliseconds: Int64 = 0
    /// After how much silence a source no longer holds the time back, in milliseconds.
    public var idleMilliseconds: Int64?
    /// How far ahead of the clock a record may be, in milliseconds; nil when it does not matter.
    public var maxFutureSkewMilliseconds: Int64?

    /// Creates a definition.
    public init(field: String) { self.field = field }
}

/// How a time is written.
public enum TimeFormat: Sendable, Hashable {
    /// `2026-11-23T15:00:00.5Z`, or with an offset.
    case rfc3339
    /// Seconds since 1970, as a number.
    case epochSeconds
    /// Milliseconds since 1970, as a number.
    case epochMilliseconds
    /// Microseconds since 1970, as a number.
    case epochMicroseconds
    /// Nanoseconds since 1970, as a number.
    case epochNanoseconds
    /// A text by a pattern of `%Y %m %d %e %j %b %H %M %S %f %z %%` and other characters.
    case pattern(String)
}
