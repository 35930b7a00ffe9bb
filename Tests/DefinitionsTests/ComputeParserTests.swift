import TestKit
import Testing
import Windowing

@testable import Definitions

/// Texts that nobody would write.
@Suite struct ComputeParserTests {
    private static let pieces = [
        "count", "sum", "quantile", "top", "collect", "ratio_if", "where", "and", "or", "(", ")",
        ",", "*", "==", "=", "!", "<=", ">", "x", "a.b", ".", "`a b`", "`", "'t'", "'", "\"", "\\",
        "1", "-1.5e3", "0.5", "1e999", "99999999999999999999", "null", "true", " ", "\n", "é", "🙂",
        "-",
    ]

    @Test func `any text is read or refused, at a place that is in it`() {
        var random = SeededRandom(seed: 90)
        var sound = 0
        for _ in 0..<20_000 {
            var text = Bool.random(using: &random) ? "count where x == " : ""
            for _ in 0..<Int.random(in: 0...7, using: &random) {
                text += Self.pieces.randomElement(using: &random) ?? ""
            }
            var columns = ColumnTable()
            do {
                var parser = try ComputeParser(text)
                let result = try parser.compute(&columns)
                sound += 1
                let used = [result.column].compactMap { $0 } + result.filter.map(\.column)
                #expect(used.allSatisfy { columns.columns.indices.contains($0) }, "\(text)")
            } catch {
                #expect((0...text.unicodeScalars.count).contains(error.offset), "\(text)")
                #expect(!error.message.isEmpty)
            }
        }
        #expect(sound > 100)
    }
}
