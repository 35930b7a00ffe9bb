import ArgumentParser
internal import Connecting
internal import Definitions

/// `tidewheel docs [PAGE | WORD]`: the reference, made from what the program itself goes by.
struct DocsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "docs",
        abstract: "Print the reference: a page, what is known about a word, or the list of pages.")

    @Argument(help: "A page, such as pipeline or lua, or a word to search.")
    var word: String?

    @Flag(help: "Print the manual page, for man.")
    var man = false

    func run() throws {
        if man { return print(ManualPage.text, terminator: "") }
        let pages = ReferencePage.all(.checking)
        guard let word else { return print(Self.list(pages), terminator: "") }
        if let page = pages.first(where: { $0.name == word }) {
            return print(page.markdown, terminator: "")
        }
        let hits = ReferencePage.search(word, in: pages)
        guard !hits.isEmpty else {
            let hint = suggestion(for: word, among: pages.map(\.name))
            throw CommandFailure(
                exitCode: 1,
                text: "error: the reference has nothing about \"\(word)\"\(hint)\n"
                    + "  the pages are \(pages.map(\.name).joined(separator: ", "))")
        }
        // A few are shown whole; of many the names are enough to choose from.
        let isShort = hits.count <= 12
        for hit in hits {
            let place = "\(hit.name) (tidewheel docs \(hit.page))"
            print(isShort ? "## \(place)\n\n\(hit.text)" : place)
        }
    }

    private static func list(_ pages: [ReferencePage]) -> String {
        let width = pages.map(\.name.count).max() ?? 0
        let lines = pages.map { page in
            let gap = String(repeating: " ", count: width - page.name.count + 2)
            return "  \(page.name)\(gap)\(page.summary)\n"
        }
        return "Pages of the reference:\n\(lines.joined())\n"
            + "tidewheel docs PAGE prints one; "
            + "tidewheel docs WORD finds keys, functions and codes.\n"
    }
}
