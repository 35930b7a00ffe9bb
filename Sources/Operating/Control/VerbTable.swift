package import Records

/// The verbs a process serves, by name, each with the arguments that it takes.
package struct VerbTable: Sendable {
    /// Does what a verb says.
    package typealias Handler = @Sendable (ControlCall) throws(ControlFailure) -> Void

    private struct Verb: Sendable {
        var arguments: [String: ArgumentForm]
        var isLong: @Sendable (Record) -> Bool
        var handler: Handler
    }

    private var verbs: [String: Verb] = [:]

    /// No verbs.
    package init() {}

    /// Adds a verb.
    ///
    /// - Parameters:
    ///   - arguments: every argument that it takes; a request with another one is refused.
    ///   - isLong: true for a request that may take as long as its caller wants, so that it is
    ///     given no place that others need.
    package mutating func add(
        _ verb: String, _ arguments: [String: ArgumentForm] = [:],
        isLong: @escaping @Sendable (Record) -> Bool = { _ in false }, _ handler: @escaping Handler
    ) {
        verbs[verb] = Verb(arguments: arguments, isLong: isLong, handler: handler)
    }

    /// The names of all verbs.
    package var names: [String] { verbs.keys.sorted() }

    /// The arguments of a verb; nil when there is no such verb.
    package func arguments(of verb: String) -> [String: ArgumentForm]? { verbs[verb]?.arguments }

    /// True for a request that may take as long as its caller wants.
    func isLong(_ call: ControlCall) -> Bool { verbs[call.verb]?.isLong(call.arguments) ?? false }

    /// Serves a call, once its arguments are found to be what the verb takes. Throws what the verb
    /// throws, and when there is no such verb.
    package func run(_ call: ControlCall) throws(ControlFailure) {
        guard let verb = verbs[call.verb] else {
            throw ControlFailure(1, "the process that has the store does not know \(call.verb)")
        }
        for field in call.arguments.fields {
            guard let form = verb.arguments[field.name] else {
                throw ControlFailure(2, "\(call.verb) takes no argument \"\(field.name)\"")
            }
            if form.takes(field.value) { continue }
            throw ControlFailure(
                2,
                "the argument \"\(field.name)\" of \(call.verb) must be \(form.words), not "
                    + Self.shown(field.value))
        }
        defer { call.output.flush() }
        try verb.handler(call)
    }

    /// A value as it was written, cut where it gets long.
    private static func shown(_ value: Value) -> String {
        let text = String(decoding: value.json.prefix(81), as: UTF8.self)
        return text.utf8.count > 80 ? text.prefix(79) + "…" : text
    }
}
