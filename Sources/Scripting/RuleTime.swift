internal import CScripting

/// How records tell their event time; all durations are in milliseconds.
public struct RuleTime: Sendable {
    /// How a time is written.
    public enum Format: Sendable, Hashable {
        /// RFC 3339 with `Z` or an offset.
        case rfc3339
        /// Seconds since 1970.
        case epochSeconds
        /// Milliseconds since 1970.
        case epochMilliseconds
        /// Microseconds since 1970.
        case epochMicroseconds
        /// Nanoseconds since 1970.
        case epochNanoseconds
        /// A pattern such as `%Y/%m/%d %H:%M`.
        case pattern(String)
    }

    /// The field that holds the time.
    public var field: String
    /// How it is written there.
    public var format: Format
    /// The offsets of the zone that times without an offset are in: from when in UTC, and how far
    /// ahead of UTC; empty for UTC.
    public var zone: [(from: Int64, offset: Int64)]
    /// How late a record may come after a newer one.
    public var outOfOrderness: Int64
    /// How far ahead of the clock a record may be; nil: as far as it likes.
    public var maxFutureSkew: Int64?

    /// Creates a description.
    public init(
        field: String, format: Format = .rfc3339, zone: [(from: Int64, offset: Int64)] = [],
        outOfOrderness: Int64 = 0, maxFutureSkew: Int64? = nil
    ) {
        self.field = field
        self.format = format
        self.zone = zone
        self.outOfOrderness = outOfOrderness
        self.maxFutureSkew = maxFutureSkew
    }

    /// Lets `body` see it as the C side wants it.
    func withConfiguration<Result>(_ body: (tw_time_config) -> Result) -> Result {
        var config = unsafe tw_time_config()
        unsafe config.out_of_orderness = outOfOrderness
        unsafe config.max_future_skew = maxFutureSkew ?? -1
        unsafe config.zone_count = zone.count
        var pattern = ""
        switch format {
        case .rfc3339: unsafe config.format = Int32(TW_TIME_RFC3339)
        case .epochSeconds: unsafe config.format = Int32(TW_TIME_EPOCH_S)
        case .epochMilliseconds: unsafe config.format = Int32(TW_TIME_EPOCH_MS)
        case .epochMicroseconds: unsafe config.format = Int32(TW_TIME_EPOCH_US)
        case .epochNanoseconds: unsafe config.format = Int32(TW_TIME_EPOCH_NS)
        case .pattern(let text):
            unsafe config.format = Int32(TW_TIME_PATTERN)
            pattern = text
        }
        let times = zone.map(\.from)
        let offsets = zone.map(\.offset)
        return unsafe times.withUnsafeBufferPointer { times in
            unsafe offsets.withUnsafeBufferPointer { offsets in
                unsafe field.withCString { field in
                    unsafe pattern.withCString { pattern in
                        unsafe config.zone_times = times.baseAddress
                        unsafe config.zone_offsets = offsets.baseAddress
                        unsafe config.field = field
                        unsafe config.pattern = pattern
                        return unsafe body(config)
                    }
                }
            }
        }
    }
}

/// The milliseconds since 1970 of an RFC 3339 time; nil when the text is none.
public func parseTime(_ text: String) -> Int64? {
    var milliseconds: Int64 = 0
    let isTime = unsafe withCharacters(Array(text.utf8)) { start, count in
        unsafe tw_parse_time(start, count, &milliseconds)
    }
    return isTime ? milliseconds : nil
}
