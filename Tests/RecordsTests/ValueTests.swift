import Records
import Testing

@Suite struct ValueTests {
    @Test func `numbers are equal by value, however they are held`() {
        let equal: [(Value, Value)] = [
            (1, 1.0), (.number(-0.0), 0), (.decimal("1e400"), .decimal("10.0E+399")),
            (.decimal("100000000000000000000"), .number(1e20)), (.decimal("1.0"), 1),
            (.integer(1 << 53), .number(9_007_199_254_740_992)),
        ]
        for (left, right) in equal {
            #expect(left == right && right == left)
            #expect(left.hashValue == right.hashValue)
        }
        let different: [(Value, Value)] = [
            (1, 1.5), (1, "1"), (1, true), (0, nil), (.integer((1 << 53) + 1), .number(0x1p53)),
            (.integer(.max), .number(0x1p63)), (.decimal("1e400"), .decimal("1e401")),
            (.decimal("1e400"), .decimal("-1e400")), (.decimal("1e99999999999999999999"), 1),
        ]
        for (left, right) in different { #expect(left != right && right != left) }
    }

    @Test func `objects are equal whatever the order, and of a repeated name the last counts`() {
        let one: Value = ["a": 1, "b": [true, nil]]
        #expect(one == ["b": [true, nil], "a": 1.0])
        #expect(one.hashValue == (["b": [true, nil], "a": 1.0] as Value).hashValue)
        #expect(["a": 9, "a": 1, "b": [true, nil]] as Value == one)
        #expect(one != ["a": 1])
        #expect(["a": 1] as Value != one)
        #expect(["a": nil] as Value != [:] as Value)
        #expect([1, 2] as Value != [2, 1])
        #expect([] as Value != [:] as Value)
    }

    @Test func `texts are compared by their bytes, not by how they look`() throws {
        #expect(Value.string("\u{E9}") != .string("e\u{301}"))
        var record = try Record(json: "{\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(record["\u{E9}"] == 1 && record["e\u{301}"] == 2)
        record["\u{E9}"] = nil
        #expect(record.json.elementsEqual("{\"e\u{301}\":2}".utf8))
    }

    @Test func `a record finds the last of a repeated name, changes it and deletes all`() throws {
        var record = try Record(json: #"{"a":1,"b":2,"a":3}"#)
        #expect(record["a"] == 3 && record["c"] == nil)
        record["a"] = "x"
        #expect(record.description == #"{"a":1,"b":2,"a":"x"}"#)
        record["c"] = .null
        #expect(record.description == #"{"a":1,"b":2,"a":"x","c":null}"#)
        record["a"] = nil
        #expect(record.description == #"{"b":2,"c":null}"#)
    }

    @Test(arguments: ["[1]", "1", "null", "\"a\"", "{", ""])
    func `a record is an object and nothing else`(text: String) {
        #expect(throws: JSONError.self) { try Record(json: text) }
    }

    @Test func `doubles are written shortest, keep their point and read back the same`() {
        #expect(Value.number(2500).text == "2500.0")
        #expect(Value.number(0.1 + 0.2).text == "0.30000000000000004")
        #expect(Value.number(-0.0).text == "-0.0")
        #expect(Value.number(.infinity).text == "null")
        #expect(Value.number(.nan).text == "null")
        #expect(Value.decimal("1.10e2").text == "1.10e2")
    }

    @Test func `a string is written with the escapes that JSON demands, and no others`() throws {
        let text = "\"\\/\u{1}\u{1F}\n\r\t\u{7F}é🙂"
        #expect(
            Value.string(text).json == Array("\"\\\"\\\\/\\u0001\\u001f\\n\\r\\t\u{7F}é🙂\"".utf8))
        var bytes: [UInt8] = [0x20]
        bytes.appendJSONString("a")
        #expect(bytes == Array(" \"a\"".utf8))
        var buffer = ByteBuffer()
        buffer.appendJSONString("a\n")
        buffer.appendJSON([1, nil])
        #expect(unsafe buffer.withUnsafeBytes { unsafe Array($0) } == Array(#""a\n"[1,null]"#.utf8))
    }

    @Test func `the nearest double of any number is at hand`() {
        #expect((7 as Value).double == 7)
        #expect(Value.decimal("1e400").double == .infinity)
        #expect(Value.decimal("9223372036854775808").double == 0x1p63)
        #expect(("7" as Value).double == nil)
    }

    @Test func `a value stays small`() {
        #expect(MemoryLayout<Value>.stride <= 24)
    }
}
