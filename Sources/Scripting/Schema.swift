internal import CScripting

/// Why a schema could not be compiled.
public struct SchemaError: Error, Sendable {
    /// What is wrong.
    public let message: String
    /// The byte of the schema's text where it is.
    public let offset: Int
}

/// A compiled JSON Schema, shared by all workers.
@safe
public final class Schema: @unchecked Sendable {  // Immutable after init.
    let schema: OpaquePointer
    /// The file it came from, as shown to people.
    public let file: String

    /// Compiles a schema's JSON text.
    public init(file: String, text: [UInt8]) throws(SchemaError) {
        self.file = file
        var status = tw_status()
        var offset = 0
        let padded = text + [UInt8](repeating: 0, count: 64)
        let checked = unsafe withCharacters(padded) { start, _ in
            unsafe tw_json_check(start, text.count, 64, &offset)
        }
        guard checked.code == 0 else {
            throw SchemaError(message: RuleError(checked).description, offset: offset)
        }
        let compiled = unsafe withCharacters(padded) { start, _ in
            unsafe tw_schema_compile(start, text.count, &status, &offset)
        }
        guard let compiled = unsafe compiled else {
            throw SchemaError(message: RuleError(status).description, offset: offset)
        }
        unsafe schema = compiled
    }

    deinit { unsafe tw_schema_destroy(schema) }
}
