/// What can be said about a script without running it.
struct LuaFacts: Sendable {
    /// One use of a global name.
    struct Global: Sendable {
        var name: String
        var place: LuaPlace
        var isAssigned: Bool
        /// Whether it stands outside all functions.
        var isAtTop: Bool
    }

    /// One argument of a call.
    struct Argument: Sendable {
        var place: LuaPlace
        /// What it says, when it is a text in quotes.
        var literal: String?
        /// Whether it may be any number of values: a call, or `...`.
        var isOpen: Bool
    }

    /// A call of something that begins with a global name.
    struct Call: Sendable {
        /// As a rule writes it: `drop`, `string.rep`, `state:incr`.
        var name: String
        var place: LuaPlace
        var arguments: [Argument]
        /// Whether what it returns is thrown away.
        var isStatement: Bool
    }

    /// Fields that are nested deeper than this are not looked at: no schema names them, and a list
    /// of names for each level would take the square of their number.
    static let longestPath = 64

    /// One use of a field of the record that `process` was given.
    struct FieldUse: Sendable {
        /// The names from the record on: `meta`, `source` for `r.meta.source`.
        var path: [String]
        var place: LuaPlace
        var isAssigned: Bool
    }

    /// A use of a member of a library of the engine, such as `json.encode`.
    struct Member: Sendable {
        var name: String
        var place: LuaPlace
    }

    /// A local that nobody reads.
    struct Local: Sendable {
        var name: String
        var place: LuaPlace
    }

    /// Where the script stops being Lua.
    var problem: (place: LuaPlace, message: String, word: String)?
    var globals: [Global] = []
    var calls: [Call] = []
    var members: [Member] = []
    var fields: [FieldUse] = []
    var unusedLocals: [Local] = []
    /// Whether `process` returns a table, or a field is set whose name is only known at run time.
    var makesOtherRecords = false
    /// What `process` returns that is no outcome: the word, and where it stands.
    var wrongReturns: [Local] = []
    /// Texts in quotes, wherever they stand.
    var texts: Set<String> = []
}
