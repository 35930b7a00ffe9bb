/// What a connector needs to know about the run it is opened for.
public struct RunContext: Sendable {
    /// The pipeline folder; relative paths of `pipeline.yaml` start here.
    public var folder: String
    /// Read to the end of the input, then stop (`--once`).
    public var once: Bool
    /// Files that replace the source's path (`--input`), relative to the current directory.
    public var inputs: [String]
    /// The longest record in bytes.
    public var recordLimit: Int
    /// The name of the source in `pipeline.yaml`.
    public var sourceName: String
    /// What became of the connector's positions when an earlier run ended or was killed.
    public var resumption = Resumption()
    /// Hears how many files were read and which could not be; nil when nobody asks, and a source
    /// then fails at its end.
    public var noteFiles: (@Sendable (FileCounts) -> Void)?
    /// Tells a person what does not stop the run; lines end with "\n".
    public var warn: @Sendable (String) -> Void = { _ in }
    /// A sink's rows are dead letters, whose fields differ from one kind to the other.
    public var takesDeadLetters = false
    /// Makes what reads the event time of rows, on the thread that will use it; nil when the
    /// pipeline has none.
    public var makeRowClock: (@Sendable () -> (any RowClock)?)?

    /// Creates a context.
    public init(
        folder: String, once: Bool, inputs: [String], recordLimit: Int, sourceName: String
    ) {
        self.folder = folder
        self.once = once
        self.inputs = inputs
        self.recordLimit = recordLimit
        self.sourceName = sourceName
    }
}

/// Reads the event time of rows; used by one thread.
public protocol RowClock: AnyObject {
    /// How late a row may come after a newer one, in milliseconds.
    var patienceMilliseconds: Int64 { get }
    /// The time of each of some whole rows, in milliseconds since 1970; nil for one without.
    func times(of rows: UnsafeRawBufferPointer) -> [Int64?]
}

/// Where a connector goes on.
public struct Resumption: Sendable {
    /// True when positions are kept in a store, so that a later run will go on.
    public var isKept = false
    /// True when rows behind the last commit are cut off, because they will come again.
    public var cutsUncommitted = true
    /// The positions at the last commit, under the connector's own names.
    public var positions: [String: [UInt8]] = [:]
    /// True when outputs that are not known from positions may be replaced.
    public var overwrites = false

    /// Creates the resumption of a run that keeps nothing.
    public init() {}
}

/// A kind of source, as named in `pipeline.yaml`.
public struct SourceKind: Sendable {
    /// What opens a source at the start of a run.
    public typealias Open = @Sendable (RunContext) throws(ConnectorError) -> any Source

    /// The key in `source:`, for instance `file`.
    public var name: String
    /// Its options.
    public var section: SectionSpecification
    private let configure: @Sendable (inout SettingReader) -> Open?

    /// Creates a kind.
    ///
    /// - Parameter configure: reads every option at load time, reporting wrong ones, and returns
    ///   what opens the source; nil when something is missing.
    public init(
        name: String, section: SectionSpecification,
        configure: @escaping @Sendable (inout SettingReader) -> Open?
    ) {
        self.name = name
        self.section = section
        self.configure = configure
    }

    /// Reads the options of one source, adding everything wrong; nil when there is something.
    public func open(_ options: Setting, _ findings: inout [Diagnostic]) -> Open? {
        var reader = SettingReader(options, section)
        let open = configure(&reader)
        let found = reader.finish()
        findings += found
        return found.isEmpty ? open : nil
    }
}

/// A kind of sink, as named in `pipeline.yaml`.
public struct SinkKind: Sendable {
    /// What opens a sink at the start of a run.
    public typealias Open = @Sendable (RunContext) throws(ConnectorError) -> OpenedSink

    /// The key in a sink, for instance `file`.
    public var name: String
    /// Its options.
    public var section: SectionSpecification
    /// True when a row that was written stays, so that rows must not be revised later. Such a sink
    /// has the option `upsert: true` for rows whose readers keep the last revision.
    public var isAppendOnly: Bool
    /// Where the options ask for the outbox; nil when they do not. `.outbox` must be opened then,
    /// and only then.
    public var outbox: @Sendable (Setting) -> Location?
    private let configure: @Sendable (inout SettingReader) -> Open?

    /// Creates a kind.
    ///
    /// - Parameter configure: reads every option at load time, reporting wrong ones, and returns
    ///   what opens the sink; nil when something is missing.
    public init(
        name: String, section: SectionSpecification, isAppendOnly: Bool = true,
        outbox: @escaping @Sendable (Setting) -> Location? = { _ in nil },
        configure: @escaping @Sendable (inout SettingReader) -> Open?
    ) {
        self.name = name
        self.section = section
        self.isAppendOnly = isAppendOnly
        self.outbox = outbox
        self.configure = configure
    }

    /// Reads the options of one sink, adding everything wrong; nil when there is something.
    public func open(_ options: Setting, _ findings: inout [Diagnostic]) -> Open? {
        var reader = SettingReader(options, section)
        let open = configure(&reader)
        let found = reader.finish()
        findings += found
        return found.isEmpty ? open : nil
    }
}

/// The sources and sinks that a program wires in; there is no registration behind its back.
public struct Catalogue: Sendable {
    /// The kinds of source.
    public var sources: [SourceKind]
    /// The kinds of sink.
    public var sinks: [SinkKind]

    /// Creates a catalogue.
    public init(sources: [SourceKind], sinks: [SinkKind]) {
        self.sources = sources
        self.sinks = sinks
    }
}

/// How many files a source has read, and which it could not read.
public struct FileCounts: Sendable, Hashable {
    /// Files that were read without a problem.
    public var read = 0
    /// For each of the others, what is wrong with it.
    public var failed: [String] = []
    /// All files were read to their end; there will be no more.
    public var hasEnded = false

    /// Creates counts.
    public init(read: Int = 0, failed: [String] = []) {
        self.read = read
        self.failed = failed
    }
}
