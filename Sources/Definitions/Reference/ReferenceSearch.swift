internal import Connecting
internal import Scripting

/// Something that `tidewheel docs SEARCHWORD` found.
public struct ReferenceHit: Sendable {
    /// What was found, such as `commit.every`.
    public var name: String
    /// The page that has it.
    public var page: String
    /// What the page says about it.
    public var text: String
    /// True when its name is the word that was searched.
    fileprivate var isExact: Bool
}

extension ReferencePage {
    /// What has `word` in its name or its description; names that are the word come first.
    public static func search(_ word: String, in pages: [ReferencePage]) -> [ReferenceHit] {
        let wanted = word.lowercased()
        func has(_ text: String) -> Bool { text.lowercased().contains(wanted) }
        var hits: [ReferenceHit] = []
        for page in pages {
            for section in page.sections {
                for key in section.keys {
                    let name = section.path(of: key)
                    guard has(name) || has(key.summary) else { continue }
                    hits.append(
                        ReferenceHit(
                            name: name, page: page.name, text: key.markdown,
                            isExact: [name, key.name].contains(wanted)))
                }
            }
        }
        for entry in RuleAPI.entries where has(entry.name) || has(entry.summary) {
            hits.append(
                ReferenceHit(
                    name: entry.name, page: "lua",
                    text: "    \(entry.signature)\n\n\(entry.summary)\n",
                    isExact: entry.name == wanted))
        }
        for aggregate in AggregateReference.entries
        where has(aggregate.form) || has(aggregate.meaning) {
            hits.append(
                ReferenceHit(
                    name: aggregate.form, page: "windows",
                    text: "    name: \(aggregate.form)\n\n\(aggregate.meaning)\n",
                    isExact: aggregate.form.prefix { $0 != "(" } == wanted))
        }
        for topic in RunningReference.topics where has(topic.name) || has(topic.text) {
            hits.append(
                ReferenceHit(
                    name: topic.name, page: "running", text: "\(topic.text)\n",
                    isExact: topic.name == wanted))
        }
        for code in FindingCode.all where has(code.code) || has(code.summary) {
            hits.append(
                ReferenceHit(
                    name: code.code, page: "errors", text: "\(code.summary)\n", isExact: false))
        }
        return hits.filter(\.isExact) + hits.filter { !$0.isExact }
    }
}
