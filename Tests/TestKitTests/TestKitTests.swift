import TestKit
import Testing

@Suite struct TestKitTests {
    @Test func `the same seed gives the same numbers`() {
        var one = SeededRandom(seed: 5)
        var two = SeededRandom(seed: 5)
        #expect((0..<10).map { _ in one.next() } == (0..<10).map { _ in two.next() })
    }

    @Test func `a temporary folder is gone when nobody has it any more`() {
        var folder: TemporaryFolder? = TemporaryFolder()
        folder?.write("x", to: "a/b")
        let path = folder?.path ?? ""
        #expect(folder?.text("a/b") == "x")
        folder = nil
        let outer = TemporaryFolder()
        #expect(outer.read("../" + (path.split(separator: "/").last ?? "") + "/a/b") == nil)
    }
}
