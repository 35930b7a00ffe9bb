import Foundation
import Testing
import Tidewheel

@Suite struct CodingTests {
    private enum Kind: String, Codable { case new, used }

    private struct Item: Codable, Hashable {
        var name: String
        var price: Double
        var tags: [String]
        var kind: Kind
        var note: String?
        var extra: Value?
    }

    private struct Order: Codable, Hashable {
        var id: UInt64
        var items: [Item]
        var places: [String: Int]
        var ratio: Float
        var isPaid: Bool
    }

    private let order = Order(
        id: .max,
        items: [
            Item(name: "a", price: 2.5, tags: ["x", "y"], kind: .new, extra: ["deep": [1, nil]]),
            Item(name: "b", price: 3, tags: [], kind: .used, note: "n"),
        ], places: ["p": 1], ratio: 0.1, isPaid: true)

    @Test func `a value goes into a record and comes back`() throws {
        let record = try Record(encoding: order)
        #expect(
            record.description
                == "{\"id\":18446744073709551615,\"items\":[{\"name\":\"a\",\"price\":2.5,"
                + "\"tags\":[\"x\",\"y\"],\"kind\":\"new\",\"extra\":{\"deep\":[1,null]}},"
                + "{\"name\":\"b\",\"price\":3.0,\"tags\":[],\"kind\":\"used\",\"note\":\"n\"}],"
                + "\"places\":{\"p\":1},\"ratio\":0.1,\"isPaid\":true}")
        #expect(try record.decode(Order.self) == order)
        #expect(try Record(json: record.json).decode(Order.self) == order)
    }

    @Test func `what JSON coders of others write is read, and the other way round`() throws {
        let record = try Record(encoding: order)
        let foundation = try JSONEncoder().encode(order)
        #expect(try Record(json: foundation).decode(Order.self) == order)
        #expect(try JSONDecoder().decode(Order.self, from: Data(record.json)) == order)
        let plain: Record = ["a": [1, 2.5, nil, true, "t"], "b": ["c": [:]]]
        #expect(try JSONDecoder().decode(Record.self, from: JSONEncoder().encode(plain)) == plain)
        #expect(try plain.decode(Record.self) == plain)
    }

    @Test func `numbers are taken where they fit exactly, and else told with their path`() throws {
        struct Numbers: Codable, Equatable {
            var small: Int8
            var whole: Int
            var real: Double
        }
        let fits = try Record(json: #"{"small":-128,"whole":3.0,"real":7}"#)
        #expect(try fits.decode() == Numbers(small: -128, whole: 3, real: 7))
        for (json, path) in [
            (#"{"small":128,"whole":3,"real":7}"#, "small"),
            (#"{"small":1,"whole":3.5,"real":7}"#, "whole"),
            (#"{"small":1,"whole":3,"real":"7"}"#, "real"),
        ] {
            let record = try Record(json: json)
            let error = #expect(throws: DecodingError.self) { try record.decode(Numbers.self) }
            guard case .typeMismatch(_, let context) = error else {
                Issue.record("\(error as Any)")
                continue
            }
            #expect(context.codingPath.map(\.stringValue) == [path])
        }
        let lacks = #expect(throws: DecodingError.self) {
            try Record(json: #"{"small":1}"#).decode(Numbers.self)
        }
        guard case .keyNotFound(let key, _) = lacks else { throw try #require(lacks) }
        #expect(key.stringValue == "whole")
    }

    @Test func `a record is an object, and its numbers are numbers`() {
        #expect(throws: EncodingError.self) { try Record(encoding: [1, 2]) }
        #expect(throws: EncodingError.self) { try Record(encoding: ["a": Double.nan]) }
        #expect(throws: DecodingError.self) { try Record().decode([Int].self) }
    }

    @Test func `super classes and nested containers keep their places`() throws {
        class Base: Codable {
            var base = 1
        }
        final class Derived: Base {
            var own = 2
            override init() { super.init() }
            enum Keys: String, CodingKey { case own, list }
            required init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: Keys.self)
                own = try container.decode(Int.self, forKey: .own)
                var list = try container.nestedUnkeyedContainer(forKey: .list)
                let isNil = try list.decodeNil()
                let last = try list.decode(Int.self)
                guard isNil, last == 5, list.isAtEnd else { throw CancellationError() }
                try super.init(from: container.superDecoder())
            }
            override func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Keys.self)
                try container.encode(own, forKey: .own)
                var list = container.nestedUnkeyedContainer(forKey: .list)
                try list.encodeNil()
                try list.encode(5)
                try super.encode(to: container.superEncoder())
            }
        }
        let value = Derived()
        value.base = 7
        let record = try Record(encoding: value)
        #expect(record.description == #"{"own":2,"list":[null,5],"super":{"base":7}}"#)
        #expect(try record.decode(Derived.self).base == 7)
    }
}
