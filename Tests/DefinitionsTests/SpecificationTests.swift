import Connecting
import Connectors
import Foundation
import Records
import TestKit
import Testing

@testable import Definitions

/// What is declared is well declared, and every page has it.
@Suite struct SpecificationTests {
    static let sections =
        SectionSpecification.reachable(from: .pipeline(SchemaComparisonTests.catalogue))
        + SectionSpecification.reachable(from: .ruleTestFile)
        + SectionSpecification.reachable(from: .pipelineTestFile)

    @Test func `names are unique and every text is a sentence`() {
        #expect(Self.sections.count > 30)
        #expect(Set(Self.sections.map(\.name)).count == Self.sections.count)
        for section in Self.sections {
            #expect(section.summary.hasSuffix("."), "\(section.name)")
            #expect(Set(section.keys.map(\.name)).count == section.keys.count, "\(section.name)")
            for key in section.keys {
                let first = key.summary.first
                #expect(key.summary.hasSuffix("."), "\(section.name).\(key.name)")
                #expect(first?.isUppercase == true, "\(section.name).\(key.name)")
                #expect(!key.form.words.isEmpty && !key.example.isEmpty)
            }
        }
    }

    @Test func `rules name declared keys alone`() {
        func names(_ rule: KeyRule) -> [String] {
            switch rule {
            case .exactlyOne(let keys), .atMostOne(let keys, _), .atLeastOne(let keys),
                .none(let keys):
                keys
            case .needs(let key, let other), .needsTrue(let key, let other, _): [key, other]
            case .excludes(let key, let others): [key] + others
            case .either(let first, let second): (first + second).flatMap(names)
            }
        }
        for section in Self.sections {
            let known = Set(section.keys.map(\.name))
            #expect(known.isSuperset(of: section.rules.flatMap(names)), "\(section.name)")
        }
    }

    @Test func `every section is on one page`() {
        let pages = ReferencePage.all(SchemaComparisonTests.catalogue)
        let shown = pages.flatMap(\.sections).map(\.name)
        #expect(Set(shown).count == shown.count)
        #expect(Set(shown) == Set(Self.sections.map(\.name)))
        for page in pages { #expect(page.markdown.hasPrefix("# "), "\(page.name)") }
    }

    @Test func `a search finds keys, functions, aggregates and codes, the word itself first`() {
        let pages = ReferencePage.all(SchemaComparisonTests.catalogue)
        func first(_ word: String) -> String? { ReferencePage.search(word, in: pages).first?.name }
        #expect(first("every") == "checkpoint.every" || first("every") == "commit.every")
        #expect(first("commit.every") == "commit.every")
        #expect(first("state:timer") == first("STATE:TIMER"))
        #expect(first("drop") == "drop")
        #expect(first("quantile") == "quantile(f, 0.95)")
        #expect(first("TW0203") == "TW0203")
        #expect(first("zebra") == nil)
    }

    @Test func `the page of windows has every aggregate`() {
        let forms = AggregateReference.entries.map { $0.form.prefix { $0 != "(" } }
        #expect(Set(forms.map(String.init)) == Set(ComputeParser.names))
    }

    @Test func `the page of errors has every code, and no other`() throws {
        var used: Set<String> = []
        for module in ["Definitions", "Scripting"] {
            let folder = "\(SchemaDocumentsTests.root)/Sources/\(module)"
            let walker = FileManager.default.enumerator(atPath: folder)
            while let name = walker?.nextObject() as? String {
                guard name.hasSuffix(".swift"), !name.hasSuffix("FindingCode.swift") else {
                    continue
                }
                let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
                used.formUnion(text.matches(of: /"(TW0\d{3})"/).map { String($0.1) })
            }
        }
        #expect(used.symmetricDifference(FindingCode.all.map(\.code)) == [])
    }

    @Test func `patterns of decimal numbers are exact`() throws {
        var random = SeededRandom(seed: 11)
        for _ in 0..<40 {
            let low = Int64.random(in: 0...1200, using: &random)
            let high = Int64.random(in: low...1300, using: &random)
            let bounded = try Regex(DecimalPattern.between(low, high))
            let open = try Regex(DecimalPattern.between(low, nil))
            for number in 0...1400 as ClosedRange<Int64> {
                let text = number % 7 == 0 ? "0\(number)" : "\(number)"
                let isInside = text.wholeMatch(of: bounded) != nil
                #expect(isInside == (low...high).contains(number), "\(low) \(high) \(text)")
                let isAbove = text.wholeMatch(of: open) != nil
                #expect(isAbove == (number >= low), "\(low) \(text)")
            }
        }
    }

    @Test func `patterns of durations and sizes take what is read`() throws {
        let forms = [
            DurationForm(), .milliseconds, .millisecondsOrZero, .offset,
            DurationForm(minimum: 1_000_000), DurationForm(maximum: 60_000_000_000),
            DurationForm(maximum: 3_000_000_000, isWholeMilliseconds: true),
        ]
        var random = SeededRandom(seed: 12)
        for form in forms {
            let pattern = try Regex(QuantityPattern.of(form))
            var taken = 0
            for _ in 0..<400 {
                let unit = durationUnits.randomElement(using: &random)?.name ?? "s"
                // Long durations in long units are more than 64 bits hold.
                let most = ["ns", "us", "ms"].contains(unit) ? 7 : 2
                let zeros = String(repeating: "0", count: Int.random(in: 0...most, using: &random))
                let number = Int.random(in: 0...99, using: &random)
                let sign = Bool.random(using: &random) ? "" : "-"
                let gap = Bool.random(using: &random) ? " " : ""
                let text = "\(sign)\(number)\(zeros)\(gap)\(unit)"
                let isRead = Self.reads(text, .duration(form)) { $0.nanoseconds("key") != nil }
                #expect((text.wholeMatch(of: pattern) != nil) == isRead, "\(text) \(form)")
                if isRead { taken += 1 }
            }
            #expect(taken > 10)
        }
        for range in [1...Int.max, 1...1 << 30, 1 << 20...1 << 30] {
            let pattern = try Regex(QuantityPattern.of(range))
            for _ in 0..<400 {
                let unit = byteSizeUnits.randomElement(using: &random)?.name ?? "B"
                let text = "\(Int.random(in: 0...3000, using: &random))\(unit)"
                let isRead = Self.reads(text, .size(range)) { $0.bytes("key") != nil }
                #expect((text.wholeMatch(of: pattern) != nil) == isRead, "\(text) \(range)")
            }
        }
    }

    /// True when a text is taken for the value of a key of this form, without a finding.
    private static func reads(
        _ text: String, _ form: ValueForm, _ read: (inout SettingReader) -> Bool
    ) -> Bool {
        let section = SectionSpecification(
            "s", "A section.", keys: [.optional("key", form, "A key.", example: "x")])
        var reader = SettingReader(Setting(["key": .string(text)]), section)
        return read(&reader) && reader.finish().isEmpty
    }
}
