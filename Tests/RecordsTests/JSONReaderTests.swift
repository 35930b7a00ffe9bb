import Foundation
import Records
import TestKit
import Testing

private func read(_ bytes: [UInt8], depthLimit: Int = 1000) throws(JSONError) -> Value {
    var reader = JSONReader(bytes, depthLimit: depthLimit)
    return try reader.readDocument()
}

private func error(of text: String) -> JSONError? {
    do throws(JSONError) {
        _ = try read(Array(text.utf8))
        return nil
    } catch {
        return error
    }
}

/// Whether Foundation means the same value; of a repeated name it may keep any.
private func agrees(_ value: Value, _ other: Any) -> Bool {
    switch value {
    case .null: other is NSNull
    case .boolean(let truth): (other as? NSNumber)?.boolValue == truth
    case .integer(let integer): (other as? NSNumber)?.int64Value == integer
    case .number, .decimal: (other as? NSNumber)?.doubleValue == value.double
    case .string(let text): (other as? String)?.utf8.elementsEqual(text.utf8) ?? false
    case .array(let items):
        if let others = other as? [Any], others.count == items.count {
            zip(items, others).allSatisfy { agrees($0, $1) }
        } else {
            false
        }
    case .object(let fields):
        if let others = other as? [String: Any] {
            others.allSatisfy { name, other in
                fields.contains { $0.name == name && agrees($0.value, other) }
            } && fields.allSatisfy { others[$0.name] != nil }
        } else {
            false
        }
    }
}

/// What Foundation refuses and we keep: lone surrogates, and numbers too large for a double.
private func isBeyondFoundation(_ value: Value) -> Bool {
    switch value {
    case .decimal: value.double?.isInfinite ?? false
    case .string(let text): text.contains("\u{FFFD}")
    case .array(let items): items.contains(where: isBeyondFoundation)
    case .object(let fields):
        fields.contains { $0.name.contains("\u{FFFD}") || isBeyondFoundation($0.value) }
    default: false
    }
}

/// What Foundation accepts and the grammar does not: `[1,]`.
private func isTrailingComma(_ error: JSONError, in text: [UInt8]) -> Bool {
    guard error.offset < text.count, [0x5D, 0x7D].contains(text[error.offset]) else {
        return false
    }
    return text[..<error.offset].last { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == 0x2C
}

@Suite struct JSONReaderTests {
    @Test func `random texts mean to the reader what they mean to Foundation`() throws {
        var generator = JSONGenerator(SeededRandom(seed: 21))
        for _ in 0..<1000 {
            let text = generator.value(depth: 4)
            guard !text.contains("E400") else { continue }  // Foundation refuses these.
            let reference = try JSONSerialization.jsonObject(
                with: Data(text.utf8), options: .fragmentsAllowed)
            let value = try read(Array(text.utf8))
            #expect(agrees(value, reference), "\(text) \(generator.random)")
        }
    }

    @Test func `edited texts are refused exactly when Foundation refuses them`() {
        var generator = JSONGenerator(SeededRandom(seed: 22))
        var accepted = 0
        var refused = 0
        for _ in 0..<5000 {
            let text = generator.edited(generator.value(depth: 2))
            // Foundation guesses UTF-16 and UTF-32 from zero bytes and skips a byte order mark.
            if text.contains(0) || text.starts(with: [0xEF, 0xBB, 0xBF]) { continue }
            let reference = try? JSONSerialization.jsonObject(
                with: Data(text), options: .fragmentsAllowed)
            let shown = "\(String(decoding: text, as: UTF8.self)) \(generator.random)"
            do throws(JSONError) {
                let value = try read(text)
                accepted += 1
                #expect(reference != nil || isBeyondFoundation(value), "\(shown)")
            } catch {
                refused += 1
                #expect(reference == nil || isTrailingComma(error, in: text), "\(shown)")
            }
        }
        #expect(accepted > 100 && refused > 1000, "\(generator.random)")
    }

    @Test func `any bytes at all end in a value or in an error inside the text`() {
        var random = SeededRandom(seed: 23)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<24, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            do throws(JSONError) {
                _ = try read(bytes)
            } catch {
                #expect((0...bytes.count).contains(error.offset), "\(bytes) \(random)")
            }
        }
    }

    @Test func `numbers keep what they say`() throws {
        let expected: [(String, Value)] = [
            ("0", .integer(0)), ("9223372036854775807", .integer(.max)),
            ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .decimal("9223372036854775808")),
            ("1e400", .decimal("1e400")), ("1e-400", .decimal("1e-400")),
            ("0.1", .number(0.1)), ("0.10000000000000001", .number(0.1)),
            (
                "0.1000000000000000055511151231257827",
                .decimal("0.1000000000000000055511151231257827")
            ),
            ("1.50000000000000000000000", .number(1.5)),
            ("5e-324", .number(.leastNonzeroMagnitude)),
            ("1E2", .number(100)), ("0e99999999999999999999", .number(0)),
            ("1e99999999999999999999", .decimal("1e99999999999999999999")),
        ]
        for (text, value) in expected {
            let found = try read(Array(text.utf8))
            #expect("\(found)" == "\(value)", "\(text)")
        }
        guard case .number(let zero) = try read(Array("-0".utf8)) else {
            Issue.record("-0 is not a floating point number")
            return
        }
        #expect(zero == 0 && zero.sign == .minus)
    }

    @Test func `escapes become characters, and a lone surrogate the replacement character`() throws
    {
        let text =
            #""\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\uDE42\ud800\u0041\udc00\ud800\ud83d\ude42""#
        let expected = "\"\\/\u{8}\u{C}\n\r\tAé🙂\u{FFFD}A\u{FFFD}\u{FFFD}🙂"
        #expect(try read(Array(text.utf8)) == .string(expected))
    }

    @Test func `exactly as many levels as allowed are read`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: #"[{"a":"#, count: depth / 2) + "1").utf8)
                + Array(String(repeating: "}]", count: depth / 2).utf8)
        }
        #expect(try read(nested(1000)).json == nested(1000))
        #expect(throws: JSONError.self) { try read(nested(1002)) }
        #expect(try read(nested(4), depthLimit: 4).json == nested(4))
        let unclosed = [UInt8](repeating: 0x5B, count: 1_000_000)
        #expect(throws: JSONError.self) { try read(unclosed) }
        #expect(throws: JSONError.self) { try read(Array("[]".utf8), depthLimit: 0) }
    }

    @Test func `an error names the byte, the line and the column`() throws {
        let wrong = try #require(error(of: "{\n  \"é\": tru\n}"))
        #expect(wrong.offset == 10 && wrong.line == 2 && wrong.column == 8)
        #expect(
            wrong.description == "malformed JSON: not a JSON value at byte 10 (line 2, column 8)")
        #expect(error(of: "[1,]")?.description == "malformed JSON: not a JSON value at byte 3")
        #expect(error(of: "\"a\u{01}\"")?.offset == 2)
        #expect(error(of: "{} x")?.offset == 3)
        #expect(error(of: "")?.message == "a value is missing")
        var reader = JSONReader([0x22, 0x61, 0xE2, 0x82, 0x22])
        let encoding = #expect(throws: JSONError.self) { try reader.readDocument() }
        #expect(encoding?.message == "not valid UTF-8" && encoding?.offset == 2)
    }

    @Test func `the bytes of a buffer are read where they are`() throws {
        let value = try unsafe Array("[1]".utf8).withUnsafeBytes { bytes throws(JSONError) in
            var reader = unsafe JSONReader(bytes)
            return try reader.readDocument()
        }
        #expect(value == [1])
    }
}
