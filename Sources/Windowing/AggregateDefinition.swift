/// An `aggregate` stage as values: what `pipeline.yaml` says, checked, with columns resolved.
public struct AggregateDefinition: Sendable {
    /// The names of the key fields, in the order in which rows show them; may be empty.
    public var keys: [String]
    /// Which windows there are.
    public var window: WindowKind
    /// The computed fields, in the order in which rows show them.
    public var computes: [ComputeDefinition]
    /// The fields that computes and filters read; a compute names them by index.
    public var columns: [ColumnDefinition]
    /// How long a window that has fired still takes records, in milliseconds.
    public var allowedLateness: Int64
    /// When rows are written.
    public var emission: Emission
    /// How long a key without records is kept, in milliseconds; mandatory for global windows.
    public var timeToLive: Int64?

    /// Creates a definition.
    public init(
        keys: [String], window: WindowKind, computes: [ComputeDefinition],
        columns: [ColumnDefinition], allowedLateness: Int64 = 0, emission: Emission = .close,
        timeToLive: Int64? = nil
    ) {
        self.keys = keys
        self.window = window
        self.computes = computes
        self.columns = columns
        self.allowedLateness = allowedLateness
        self.emission = emission
        self.timeToLive = timeToLive
    }
}

/// The windows of a stage; all times are in milliseconds, all windows half-open.
public enum WindowKind: Sendable, Hashable {
    /// Windows of one size, one after the other, aligned to 1970-01-01T00:00Z plus the offset.
    case tumbling(size: Int64, offset: Int64 = 0)
    /// Windows of one size that begin every so often; the size need not be a multiple.
    case hopping(size: Int64, every: Int64, offset: Int64 = 0)
    /// Records of a key less than `gap` apart.
    case session(gap: Int64)
    /// So many records of a key, in the order in which they arrive.
    case count(size: Int)
    /// For each record the records of its key in `(time - range, time]`.
    case rolling(range: Int64)
    /// For each record the last so many records of its key, itself included.
    case rollingRows(Int)
    /// Days, weeks or months of a civil calendar.
    case calendar(CalendarPeriod)
    /// One window per key without an end.
    case global
}

/// When the rows of a window are written.
public enum Emission: Sendable, Hashable {
    /// Once, when the window closes.
    case close
    /// Also while it is open, every so many milliseconds of event time in which it has changed.
    case every(Int64)
    /// Whenever it has changed.
    case update
}

/// A field that is read for an aggregate.
public struct ColumnDefinition: Sendable, Hashable {
    /// What values a column may hold; others make the record a dead letter.
    public enum Requirement: UInt32, Sendable, Comparable {
        /// Any value.
        case any = 0
        /// Null, a number or a string.
        case scalar = 1
        /// Null or a finite number.
        case number = 2

        /// The stricter one is greater.
        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// The name of the field; dots lead into nested objects.
    public var field: String
    /// What it may hold.
    public var requirement: Requirement
    /// The JSON text of numbers is needed as well.
    public var needsText: Bool

    /// Creates a column.
    public init(_ field: String, requirement: Requirement = .any, needsText: Bool = false) {
        self.field = field
        self.requirement = requirement
        self.needsText = needsText
    }
}

/// One computed field of a row.
public struct ComputeDefinition: Sendable, Hashable {
    /// Its name in the row.
    public var name: String
    /// What is computed.
    public var function: AggregateFunction
    /// The column it reads; nil for `count`, `ratioIf` and aggregates in Lua.
    public var column: Int?
    /// Only records that pass all of these count.
    public var filter: [Comparison]

    /// Creates a computed field.
    public init(
        _ name: String, _ function: AggregateFunction, column: Int? = nil,
        filter: [Comparison] = []
    ) {
        self.name = name
        self.function = function
        self.column = column
        self.filter = filter
    }
}

/// What can be computed over the records of a window.
public enum AggregateFunction: Sendable, Hashable {
    /// How many records.
    case count
    /// The sum, exact for whole numbers.
    case sum
    /// The arithmetic mean.
    case average
    /// The least value.
    case minimum
    /// The greatest value.
    case maximum
    /// The value of the earliest record.
    case first
    /// The value of the latest record.
    case last
    /// The sample standard deviation.
    case standardDeviation
    /// The sample variance.
    case variance
    /// How many different values: exact up to a cap, then estimated by HyperLogLog.
    case countDistinct
    /// The value at this rank, 0 to 1, within 1 %.
    case quantile(Double)
    /// The most frequent values with their counts.
    case top(Int)
    /// The values in the order of time, so many at most.
    case collect(Int)
    /// The share of records that pass, 0 to 1.
    case ratioIf([Comparison])
    /// The most frequent value, the least of those that are equally frequent.
    case mode
    /// An aggregate written in Lua, by its index among those of the stage.
    case user(Int)
}

/// A condition on one column.
public struct Comparison: Sendable, Hashable {
    /// How two values are compared.
    public enum Operation: Sendable, Hashable {
        /// The same JSON value.
        case equal
        /// Another JSON value, or missing.
        case notEqual
        /// Less, of numbers or of texts by their bytes.
        case less
        /// Less or equal.
        case lessOrEqual
        /// Greater.
        case greater
        /// Greater or equal.
        case greaterOrEqual
    }

    /// The literal on the right.
    public enum Literal: Sendable, Hashable {
        /// A number.
        case number(Double)
        /// A text.
        case string(String)
        /// A truth value.
        case boolean(Bool)
        /// Null, which a missing field equals too.
        case null
    }

    /// The column on the left.
    public var column: Int
    /// How it is compared.
    public var operation: Operation
    /// With what.
    public var literal: Literal

    /// Creates a condition.
    public init(column: Int, _ operation: Operation, _ literal: Literal) {
        self.column = column
        self.operation = operation
        self.literal = literal
    }
}
