import Testing

@Suite struct TreeTests {
    private func check(_ rule: (Tree) -> () -> [Violation]) throws {
        let tree = try Tree(of: TidyTests.root)
        #expect(tree.entries.count > 300)
        let violations = rule(tree)()
        #expect(violations.isEmpty, "\(violations.map(\.description).joined(separator: "\n"))")
    }

    @Test func `no store is kept`() throws { try check(Tree.stores) }
    @Test func `no link is kept`() throws { try check(Tree.links) }
    @Test func `no two paths differ by case alone`() throws { try check(Tree.twins) }
    @Test func `nothing that a build makes is kept`() throws { try check(Tree.products) }
    @Test func `everything is text`() throws { try check(Tree.binaries) }
    @Test func `every example tells what it is for and what it gives`() throws {
        try check(Tree.unfinishedExamples)
    }

    private func files(_ violations: [Violation]) -> [String] { violations.map(\.file) }

    @Test(arguments: [
        "examples/a/data/journal/00000001.seg", "examples/a/data/LOCK", "examples/a/data/FORMAT",
        "x/catalogue.sqlite", "x/catalogue.sqlite-wal", "x/00000000000000000007.snap",
        "x/snapshots/snapshot.tmp", "data/control.sock",
    ])
    func `parts of stores are found`(path: String) {
        #expect(files(Tree(path).stores()) == [path])
    }

    @Test func `what only looks like a store passes, and a fixture of the tests`() {
        let tree = Tree(
            "Sources/Journal/Snapshot.swift", "Sources/Journal/Lock.swift",
            "examples/segments.seg.md",
            "Tests/EngineTests/Fixtures/old/journal/00000001.seg",
            "Tests/EngineTests/Fixtures/old/LOCK")
        #expect(tree.stores().isEmpty)
        #expect(files(Tree("Fixtures/LOCK").stores()) == ["Fixtures/LOCK"])
    }

    @Test func `links are found`() {
        var tree = Tree("a", "b")
        #expect(tree.links().isEmpty)
        tree.entries[1].isLink = true
        #expect(files(tree.links()) == ["b"])
    }

    @Test func `files and folders that differ by case alone are found`() {
        #expect(files(Tree("a/README.md", "a/readme.md", "b/readme.md").twins()) == ["a/README.md"])
        #expect(files(Tree("examples/W1/x", "examples/w1/y").twins()) == ["examples/W1"])
        #expect(Tree("a/x", "a/y", "b/X", "x/a").twins().isEmpty)
    }

    @Test(arguments: [
        "Package.resolved", ".build/debug/x", "examples/a/.build-thread/x", "a/b.o", "lib/x.so",
        "default.profraw", ".swiftpm/configuration",
    ])
    func `what a build makes is found`(path: String) {
        #expect(files(Tree(path).products()) == [path])
    }

    @Test func `sources are no products`() {
        #expect(Tree("Package.swift", "a/build.swift", "scripts/so", "a.lua").products().isEmpty)
    }

    @Test func `binaries are found`() {
        var tree = Tree("a", "b", "Tests/ATests/Fixtures/old.bin")
        #expect(tree.binaries().isEmpty)
        tree.entries[0].head = Array("\u{7F}ELF\0\0".utf8)
        tree.entries[2].head = [0]
        #expect(files(tree.binaries()) == ["a"])
    }

    @Test func `an example without its output is found`() {
        let whole = Tree(
            "examples/a/README.md", "examples/a/expected/output.txt", "examples/a/pipeline.yaml",
            "examples/benchmarks/README.md", "examples/benchmarks/copy/pipeline.yaml")
        #expect(whole.unfinishedExamples().isEmpty)
        let rules = Tree("examples/a/README.md", "examples/b/expected/x", "examples/c/x")
            .unfinishedExamples()
        #expect(
            rules.map(\.description) == [
                "examples/a/:1: has no expected", "examples/b/:1: has no README.md",
                "examples/c/:1: has no README.md", "examples/c/:1: has no expected",
            ])
    }
}
