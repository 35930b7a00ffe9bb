/// The codes of findings, the same in every version.
public struct FindingCode: Sendable, Hashable {
    /// The code, such as `TW0203`.
    public var code: String
    /// Which mistakes have it.
    public var summary: String

    /// Every code, in their order.
    public static let all: [FindingCode] = [
        ("TW0101", "`pipeline.yaml`: a key or value that is wrong"),
        ("TW0102", "a schema that cannot be used"),
        ("TW0103", "a file that is named and not there"),
        ("TW0104", "an output that nothing reaches"),
        ("TW0105", "state without a key: each partition has its own"),
        ("TW0106", "a lookup file that cannot be read"),
        ("TW0201", "a syntax error in Lua"),
        ("TW0202", "a rule file without `process`"),
        ("TW0203", "a global that does not exist"),
        ("TW0204", "assignment to a global that was not declared"),
        ("TW0205", "assignment to a name of the engine"),
        ("TW0206", "a function that a library lacks"),
        ("TW0207", "a wrong number of arguments"),
        ("TW0208", "an unknown lookup"),
        ("TW0209", "an unknown column of a lookup"),
        ("TW0210", "an unknown module"),
        ("TW0211", "a verdict that is not returned"),
        ("TW0212", "a field that no schema knows: an error when another is near, else a warning"),
        ("TW0213", "a local that nobody reads (warning)"),
        ("TW0214", "a return value that means nothing"),
        ("TW0301", "a broken test file"),
        ("TW0302", "a rule without tests (warning)"),
    ].map { FindingCode(code: $0.0, summary: $0.1) }

    /// The page `errors`.
    static var markdown: String {
        """
        # Errors: the codes of findings

        `tidewheel lint` finds mistakes before records do; `--format json` and `--format github` \
        have the codes, too. A finding without the word warning is an error.

        | code | what |
        |---|---|

        """ + all.map { "| `\($0.code)` | \($0.summary) |\n" }.joined()
    }
}
