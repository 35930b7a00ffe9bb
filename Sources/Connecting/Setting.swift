/// A place in a configuration file, shown as `FILE:LINE:COLUMN`.
public struct Location: Sendable, Hashable, CustomStringConvertible {
    /// The file's path, relative to the pipeline folder.
    public var file: String
    /// The line, counted from 1.
    public var line: Int
    /// The column in characters, counted from 1.
    public var column: Int

    /// Creates a location.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `FILE:LINE:COLUMN`.
    public var description: String { "\(file):\(line):\(column)" }
}

/// A finding about the files of a pipeline, shown to a person or as JSON.
public struct Diagnostic: Error, Sendable, Hashable {
    /// How bad it is.
    public enum Severity: String, Sendable {
        /// The pipeline cannot run.
        case error
        /// It can run, but probably not as meant.
        case warning
    }

    /// How bad it is.
    public var severity: Severity
    /// Where it is.
    public var location: Location
    /// What it is, with "did you mean" where there is a guess.
    public var message: String
    /// Which kind of mistake it is, such as `TW0203`; the same in every version.
    public var code: String?

    /// Creates a finding.
    public init(
        _ severity: Severity = .error, at location: Location, _ message: String,
        code: String? = nil
    ) {
        self.severity = severity
        self.code = code
        self.location = location
        self.message = message
    }
}

/// One value of a configuration file, with its place.
public struct Setting: Sendable {
    /// What the value is.
    public enum Content: Sendable {
        /// `null`, `~` or nothing.
        case null
        /// A scalar as written; `quoted` when it must stay text.
        case scalar(String, quoted: Bool)
        /// A list.
        case sequence([Setting])
        /// Keys in the order of the file.
        case mapping([Entry])
    }

    /// One key of a mapping.
    public struct Entry: Sendable {
        /// The key.
        public var key: String
        /// Where the key stands.
        public var location: Location
        /// Its value.
        public var value: Setting

        /// Creates an entry.
        public init(key: String, location: Location, value: Setting) {
            self.key = key
            self.location = location
            self.value = value
        }
    }

    /// What the value is.
    public var content: Content
    /// Where it stands.
    public var location: Location

    /// Creates a setting.
    public init(_ content: Content, at location: Location) {
        self.content = content
        self.location = location
    }
}
