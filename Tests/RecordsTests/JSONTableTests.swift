import Records
import Testing

private let accepted = [
    "null", "true", "false", "0", "-0", "1", "-1", "10", "120", "0.0", "-0.0", "0.5", "1.25",
    "1e1", "1E1", "1e+1", "1e-1", "0e0", "0e+1", "-0e-1", "1.5e300", "1e400", "-1e-400",
    "123456789012345678901234567890", "0.000000000000000000000000000001", "\"\"", "\" \"",
    "\"a\"", "\"é\"", "\"日本\"", "\"🙂\"", "\"\u{7F}\"", "\"\u{2028}\"", "\"\u{FEFF}\"",
    "\"\u{10FFFF}\"", #""\"""#, #""\\""#, #""\/""#, #""\b\f\n\r\t""#, #""\u0000""#,
    #""\u00e9""#, #""\uABCD""#, #""\uabcd""#, #""\ud83d\ude42""#, #""\ud800""#, #""\udc00""#,
    #""\\u0041""#, "\"'\"", "\"/\"", "\"{[,:]}\"", "[]", "[ ]", "[\n]", "[1]", "[1,2]",
    "[ 1 , 2 ]", "[[]]", "[[],[[]]]", "[null,true,1,\"a\",[],{}]", "{}", "{ }", "{\"a\":1}",
    "{ \"a\" : 1 }", "{\"\":0}", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":[{}]}}",
    #"{"\u0061":1}"#, "\t1", "\n1", "\r1", " 1 \n\r\t", "{\"a\":\n[1,\r\n2]}",
]

private let refused = [
    "", " ", "\n", "nul", "nulll", "Null", "NULL", "tru", "truee", "True", "fals", "undefined",
    "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "00", "1.", ".5", "-.5", "1.e1", "1e",
    "1e+", "1e1.5", "1E", "1ee1", "0x10", "1_000", "1,2", "1 2", "- 1", "1a", "--1", "١", "１",
    "\"", "\"a", "a\"", "'a'", "\"\\\"", "\"\\\\", #""\x41""#, #""\a""#, #""\'""#, #""\0""#,
    #""\u""#, #""\u1""#, #""\u123""#, #""\u12g4""#, #""\u-123""#, #""\u-000""#, #""\u+123""#,
    #""\u 123""#,
    #""\U0041""#, #""\ud83d\ude4""#, "\"\n\"", "\"\t\"", "\"\u{0}\"", "\"\u{1F}\"", "\"a\" \"b\"",
    "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1:2]", "[1}", "[]]", "[[]",
    "{", "}", "{\"a\"", "{\"a\":", "{\"a\":}", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}",
    "{\"a\" 1}", "{\"a\",1}", "{\"a\"}", "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{\"a\":1]",
    "{\"a\":1 \"b\":2}", "{\"a\":1;\"b\":2}", "{\"a\"::1}", "{}{}", "{} 1", "\u{FEFF}{}",
    "\u{A0}1", "\u{0B}1", "\u{0C}1", "1\u{0}", "// c\n1", "1 // c", "/* c */ 1", "# c\n1",
]

private let malformedBytes: [[UInt8]] = [
    [0xFF], [0xC0, 0xAF], [0xC3], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
    [0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xE0, 0x80, 0x80], [0xC3, 0x28],
]

@Suite struct JSONTableTests {
    @Test(arguments: accepted) func `a text of the grammar is read and survives`(text: String)
        throws
    {
        var reader = JSONReader(Array(text.utf8))
        let value = try reader.readDocument()
        var again = JSONReader(value.json)
        #expect(try again.readDocument() == value)
    }

    @Test(arguments: refused) func `a text outside the grammar is refused`(text: String) {
        var reader = JSONReader(Array(text.utf8))
        #expect(throws: JSONError.self) { try reader.readDocument() }
    }

    @Test(arguments: malformedBytes) func `what is not UTF-8 is refused`(bytes: [UInt8]) {
        var reader = JSONReader([0x22] + bytes + [0x22])
        let error = #expect(throws: JSONError.self) { try reader.readDocument() }
        #expect(error?.message == "not valid UTF-8")
        #expect(error?.offset == 1)
    }

    @Test func `the tables are long enough to mean something`() {
        #expect(Set(accepted).count >= 60 && Set(refused).count >= 60)
        #expect(Set(accepted).isDisjoint(with: refused))
    }
}
