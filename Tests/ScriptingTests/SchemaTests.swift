import Records
import Scripting
import Testing

@Suite struct SchemaTests {
    private func problems(_ schema: String, _ record: String) throws -> [String] {
        let letters = try RuleHarness(schema: schema).run(record).letters
        guard case .array(let findings) = letters.first?["findings"] else { return [] }
        return findings.compactMap { finding in
            guard case .object(let fields) = finding else { return nil }
            let record = Record(fields)
            return "\(record["field"]?.text ?? ""):\(record["problem"]?.text ?? "")"
        }
    }

    @Test func `all findings of a record, in the order of the schema`() throws {
        let schema = #"""
            {"required": ["id", "extra"], "properties": {"id": {"type": "string"}, "n": {"type": "number", "minimum": 0},
             "m": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "maximum": 3}}},
             "tags": {"items": {"enum": ["x", "y"]}}}, "additionalProperties": false}
            """#
        #expect(
            try problems(schema, #"{"n":-1,"m":{"a":7},"tags":["x","z"],"other":1}"#) == [
                "id:missing", "n:range", "m.a:range", "tags[1]:enum", "extra:missing",
                "other:unknown",
            ])
    }

    @Test(arguments: [
        (#"{"type":"integer"}"#, "3.0", true), (#"{"type":"integer"}"#, "3.5", false),
        (#"{"type":["string","null"]}"#, "null", true),
        (#"{"enum":[1,"a",{"x":[1]}]}"#, "1.0", true),
        (#"{"enum":[1,"a",{"x":[1]}]}"#, #"{"x":[1.0]}"#, true),
        (#"{"const":"é"}"#, #""\u00e9""#, true),
        (#"{"minLength":2,"maxLength":3}"#, #""日本""#, true), (#"{"minLength":3}"#, #""日本""#, false),
        (#"{"pattern":"^a+$"}"#, #""aaa""#, true), (#"{"pattern":"b"}"#, #""aaa""#, false),
        (#"{"exclusiveMinimum":0}"#, "0", false), (#"{"exclusiveMaximum":1}"#, "0.5", true),
        (#"{"maximum":9007199254740992}"#, "9007199254740993", false),
        (#"{"format":"date-time"}"#, #""2024-02-29T23:59:59.5+05:30""#, true),
        (#"{"format":"date-time"}"#, #""2023-02-29T00:00:00Z""#, false),
        (#"{"type":"number"}"#, "true", false),
        (#"{"additionalProperties":{"type":"integer"}}"#, #"{"a":"x"}"#, false),
    ])
    func `keywords mean what JSON Schema says`(schema: String, value: String, valid: Bool) throws {
        let found = try problems("{\"properties\":{\"v\":\(schema)}}", "{\"v\":\(value)}")
        #expect(found.isEmpty == valid, "\(found)")
    }

    @Test(arguments: [
        (#"{"maxItems": 3}"#, "unknown schema keyword \"maxItems\""),
        (#"{"requird": []}"#, "did you mean \"required\""),
        (#"{"type": "text"}"#, "there is no type \"text\""),
        (#"{"minimum": "0"}"#, "must be a number"),
        (#"{"pattern": "("}"#, "not a regular expression"),
        (#"{"format": "email"}"#, "unknown format"),
        (#"{"type": "#, "missing"), ("[]", "must be an object"),
    ])
    func `a schema that cannot be used says why`(schema: String, message: String) {
        let error = #expect(throws: SchemaError.self) {
            _ = try Schema(file: "x.json", text: Array(schema.utf8))
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
}
