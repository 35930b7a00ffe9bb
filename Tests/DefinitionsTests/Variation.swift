import Connecting
import Records

@testable import Definitions

/// A sound document with one thing changed.
struct Variation {
    var name: String
    var document: Value

    /// A place in a document: the steps that lead there, and what is declared for it.
    private struct Place {
        var path: [Step]
        var value: Value
        /// What is declared for it, such as `commit.every`; the same wherever it stands.
        var declaration: String
        /// The section when it is a mapping of declared keys.
        var section: SectionSpecification?

        var name: String { path.map(\.description).joined(separator: ".") }
    }

    private enum Step: CustomStringConvertible {
        case key(String)
        case item(Int)

        var description: String {
            switch self {
            case .key(let name): name
            case .item(let index): "\(index)"
            }
        }
    }

    /// Every key left out, misspelt, added with its example, and set to each of the values; what
    /// is declared once is varied once.
    static func all(
        of document: Value, _ section: SectionSpecification, _ values: [Value]
    ) -> [Variation] {
        var all: [Variation] = []
        var seen: Set<String> = []
        for place in places(in: document, section) where seen.insert(place.declaration).inserted {
            func add(_ name: String, _ value: Value) {
                let changed = replacing(document, place.path[...], with: value)
                all.append(Variation(name: "\(place.name): \(name)", document: changed))
            }
            for value in values { add("\(value)", value) }
            guard case .object(let fields) = place.value else { continue }
            add("a key that is not declared", .object(fields + [Field("zebra", 1)]))
            for index in fields.indices {
                var changed = fields
                changed.remove(at: index)
                add("no \(fields[index].name)", .object(changed))
                changed = fields
                changed[index].name += "x"
                add("\(changed[index].name) for \(fields[index].name)", .object(changed))
            }
            for key in place.section?.keys ?? [] {
                var record = Record(fields)
                record[key.name] = yaml(key.example)
                add("\(key.name): \(key.example)", .object(record.fields))
            }
        }
        return all
    }

    /// Each key with a default, left out and set to it.
    static func defaults(
        of document: Value, _ section: SectionSpecification
    ) -> [(name: String, without: Value, with: Value)] {
        var all: [(String, Value, Value)] = []
        for place in places(in: document, section) {
            guard case .object(let fields) = place.value, let section = place.section else {
                continue
            }
            for key in section.keys {
                guard let usual = key.usual?.value else { continue }
                var record = Record(fields)
                record[key.name] = nil
                let without = replacing(document, place.path[...], with: .object(record.fields))
                record[key.name] = usual
                let with = replacing(document, place.path[...], with: .object(record.fields))
                all.append(("\(section.name).\(key.name)", without, with))
            }
        }
        return all
    }

    /// The keys that a document uses, as `SECTION.KEY`.
    static func keys(in document: Value, _ section: SectionSpecification) -> Set<String> {
        var found: Set<String> = []
        for place in places(in: document, section) {
            guard case .object(let fields) = place.value, let section = place.section else {
                continue
            }
            found.formUnion(fields.map { "\(section.name).\($0.name)" })
        }
        return found
    }

    private static func places(in document: Value, _ section: SectionSpecification) -> [Place] {
        var all: [Place] = []
        func visit(_ value: Value, _ form: ValueForm, _ path: [Step], _ declaration: String) {
            var place = Place(path: path, value: value, declaration: declaration)
            for choice in form.choices {
                switch (choice, value) {
                case (.section(let section), .object(let fields)):
                    let section = section()
                    place.section = section
                    for field in fields {
                        let key = section.keys.first { $0.name == field.name }
                        visit(
                            field.value, key?.form ?? .anything, path + [.key(field.name)],
                            "\(section.name).\(field.name)")
                    }
                case (.map(let form), .object(let fields)):
                    for field in fields {
                        visit(
                            field.value, form.value, path + [.key(field.name)], declaration + ".*")
                    }
                case (.list(let form, _), .array(let items)):
                    for (index, item) in items.enumerated() {
                        visit(item, form, path + [.item(index)], declaration + ".*")
                    }
                default: break
                }
            }
            all.append(place)
        }
        visit(document, .nested(section), [], section.name)
        return all
    }

    private static func replacing(
        _ document: Value, _ path: ArraySlice<Step>, with value: Value
    ) -> Value {
        guard let step = path.first else { return value }
        switch (step, document) {
        case (.key(let name), .object(let fields)):
            return .object(
                fields.map { field in
                    field.name == name
                        ? Field(name, replacing(field.value, path.dropFirst(), with: value)) : field
                })
        case (.item(let index), .array(var items)):
            items[index] = replacing(items[index], path.dropFirst(), with: value)
            return .array(items)
        default: return document
        }
    }
}

extension SectionSpecification {
    /// This section and those that its keys lead to, each once.
    static func reachable(from top: SectionSpecification) -> [SectionSpecification] {
        var all: [SectionSpecification] = []
        func visit(_ section: SectionSpecification) {
            if all.contains(where: { $0.name == section.name }) { return }
            all.append(section)
            for key in section.keys { visit(key.form) }
        }
        func visit(_ form: ValueForm) {
            for choice in form.choices {
                switch choice {
                case .section(let section): visit(section())
                case .map(let form): visit(form.value)
                case .list(let form, _): visit(form)
                default: break
                }
            }
        }
        visit(top)
        return all
    }
}
