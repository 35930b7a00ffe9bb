public import Connecting
public import Scripting

/// A whole `pipeline.yaml` as values; everything in it has been checked.
public struct Definition: Sendable {
    /// The pipeline's name.
    public var name = "pipeline"
    /// Where it lives; relative paths start here.
    public var folder: String
    /// Where records come from; several have names of their own.
    public var sources: [SourceDefinition] = []
    /// The field whose value chooses the partition.
    public var key: String?
    /// How many partitions there are.
    public var partitions = 16
    /// Where that stands; the start of the file when it does not.
    public var partitionsLocation = Location(file: "pipeline.yaml", line: 1, column: 1)
    /// The lookup tables.
    public var lookups: [LookupDefinition] = []
    /// The stages in the order written.
    public var stages: [StageDefinition] = []
    /// The sinks in the order written.
    public var sinks: [SinkDefinition] = []
    /// What a script, a record and all state may take.
    public var limits = Limits()
    /// When outputs become visible.
    public var commit = Commit()
    /// The time that records carry; mandatory when there are windows.
    public var time: TimeDefinition?
    /// How often an output may arrive.
    public var delivery = Delivery.exactlyOnce
    /// When a commit counts as kept.
    public var durability = PipelineDurability.disk
    /// How often a snapshot is taken, in nanoseconds.
    public var checkpointNanoseconds: Int64 = 300_000_000_000
    /// What becomes of windows at the end of the input.
    public var endOfInput = EndOfInput.close
    /// How rules are replaced while the stream runs; checked and kept.
    public var reload: ReloadDefinition?

    /// The queues in the order written.
    public var queues: [QueueDefinition] = []
    /// The names that lead to queues, in the order written.
    public var exchanges: [ExchangeDefinition] = []
    /// The messages that are published again and again.
    public var schedules: [ScheduleDefinition] = []
    /// The scripts that work on queues.
    public var handlers: [HandlerDefinition] = []
    /// How large a segment of the store gets, in bytes.
    public var segmentBytes = 64 << 20
    /// How often a running pipeline brings the catalogue up to date, in nanoseconds; nil for never.
    public var catalogueNanoseconds: Int64? = 5_000_000_000

    /// What the file said, to tell later whether it has changed.
    public internal(set) var written = WrittenKeys()

    /// The keys of a pipeline that records flow through.
    static let flowSections = ["source", "sources", "stages", "sinks"]
    /// The keys of which a folder may have nothing else.
    static let queueSections = ["queues", "store"]
    /// What `from` says for the source and for dead letters.
    static let reservedNames = ["source", "dead_letters"]

    /// Nothing but a folder.
    public init(folder: String) { self.folder = folder }

    /// The first source; setting it leaves no other.
    public var source: SourceDefinition? {
        get { sources.first }
        set { sources = newValue.map { [$0] } ?? [] }
    }
}

/// What scripts and records may take.
public struct Limits: Sendable {
    /// Bytes for the scripts of one worker.
    public var scriptMemory = 64 << 20
    /// Bytes of one record.
    public var record = 16 << 20
    /// Nesting of one record, at most `deepest`.
    public var depth = 1000
    /// Bytes of rows that one record may become, for each sink.
    public var emitted = 64 << 20
    /// Bytes of all keyed state.
    public var stateMemory = 4 << 30
    /// Nanoseconds that a lane works before commits, reloads and stops have their turn.
    public var sliceNanoseconds: Int64 = 20_000_000

    /// The nesting for which the stack of every thread that runs rules has room.
    static let deepest = 5000
}

/// When outputs become visible.
public struct Commit: Sendable {
    /// At the latest after this many records.
    public var records = 5000
    /// At the latest after this many nanoseconds.
    public var everyNanoseconds: Int64 = 200_000_000

    /// The usual bounds.
    package init() {}
}

/// Where records come from.
public struct SourceDefinition: Sendable {
    /// Its name: `source`, or its key under `sources`.
    public var name: String
    /// The connector, such as `file`.
    public var kind = ""
    /// The queue it is, if it is one; then `open` is not used.
    public var queue: String?
    /// Opens it.
    public var open: @Sendable (RunContext) throws(ConnectorError) -> any Source
    /// Its place in the file.
    public var location: Location

    /// Creates a source.
    public init(
        name: String, location: Location,
        open: @escaping @Sendable (RunContext) throws(ConnectorError) -> any Source
    ) {
        self.name = name
        self.location = location
        self.open = open
    }
}

/// A table for `lookup`.
public struct LookupDefinition: Sendable {
    /// How often the file is looked at when nothing is said.
    static let usualRefreshNanoseconds: Int64 = 60_000_000_000

    /// The name that rules use.
    public var name: String
    /// The file, relative to the folder.
    public var path: String
    /// The column or field that is the key.
    public var key: String
    /// How often the file is looked at, in nanoseconds.
    public var refreshNanoseconds: Int64
    /// What stands between the cells of CSV; nil for what the file's name says.
    public var delimiter: UInt8?
    /// Its place in the file.
    public var location: Location

    /// Declares a table.
    package init(
        name: String, path: String, key: String, refreshNanoseconds: Int64,
        delimiter: UInt8? = nil, location: Location
    ) {
        self.delimiter = delimiter
        self.name = name
        self.path = path
        self.key = key
        self.refreshNanoseconds = refreshNanoseconds
        self.location = location
    }
}

/// Where records of a stage or sink come from.
public enum Origin: Sendable, Hashable {
    /// The pipeline's source.
    case source
    /// All dead letters.
    case deadLetters
    /// A stage by its index; `output` is nil for the main one.
    case stage(Int, output: String?)
}

/// What a stage does.
@safe
public enum StageWork: Sendable {
    /// A schema, a rule file, or both, in this order.
    case files(schema: FileReference?, rule: FileReference?)
    /// A closure of the program that embeds the engine.
    case native(NativeStage)
    /// Windows over records.
    case aggregate(AggregateStage)
}

/// A file that `pipeline.yaml` names.
public struct FileReference: Sendable {
    /// The path relative to the folder.
    public var path: String
    /// Where it is named.
    public var location: Location

    /// Creates a reference.
    public init(path: String, location: Location) {
        self.path = path
        self.location = location
    }
}

/// One stage.
public struct StageDefinition: Sendable {
    /// CPU nanoseconds that one call may take when nothing is said.
    public static let usualBudgetNanoseconds: Int64 = 100_000_000

    /// Its name.
    public var name: String
    /// What it does.
    public var work: StageWork
    /// Where its records come from.
    public var from: Origin
    /// Where `from` stands, for findings about it.
    public var fromLocation: Location
    /// CPU nanoseconds that one call may take.
    public var budgetNanoseconds: Int64
    /// The lookup tables it says it uses.
    public var lookups: [String] = []
    /// Its place in the file.
    public var location: Location

    /// Creates a stage.
    public init(
        name: String, work: StageWork, from: Origin, fromLocation: Location,
        budgetNanoseconds: Int64 = usualBudgetNanoseconds, lookups: [String] = [],
        location: Location
    ) {
        self.name = name
        self.work = work
        self.from = from
        self.fromLocation = fromLocation
        self.budgetNanoseconds = budgetNanoseconds
        self.lookups = lookups
        self.location = location
    }
}

/// One sink.
public struct SinkDefinition: Sendable {
    /// Its name in the summary.
    public var name: String
    /// Where its rows come from.
    public var from: Origin
    /// Where `from` stands.
    public var fromLocation: Location
    /// True when a row that was written stays, so that rows must not be revised later.
    public var isAppendOnly: Bool
    /// The queue it is, if it is one; then `open` is not used.
    public var queue: String?
    /// Where its settings ask for the outbox; nil when rows go to the sink at once.
    public var outbox: Location?
    /// Opens it.
    public var open: @Sendable (RunContext) throws(ConnectorError) -> OpenedSink

    /// Creates a sink.
    public init(
        name: String, from: Origin, fromLocation: Location, isAppendOnly: Bool = true,
        open: @escaping @Sendable (RunContext) throws(ConnectorError) -> OpenedSink
    ) {
        self.name = name
        self.from = from
        self.fromLocation = fromLocation
        self.isAppendOnly = isAppendOnly
        self.open = open
    }
}

extension StageDefinition {
    /// True when it has a schema or a rule file, so that a record can be run through it.
    package var hasRule: Bool {
        if case .files(let schema, let rule) = work { return schema != nil || rule != nil }
        return false
    }

    /// Its rule file.
    package var rulePath: String? {
        if case .files(_, .some(let rule)) = work { return rule.path }
        return nil
    }
}
