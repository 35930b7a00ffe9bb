import Glibc
import TestKit
import Testing

@Suite struct TemporaryFolderTests {
    @Test func `bytes are read as they were written, in folders made on the way`() {
        let folder = TemporaryFolder()
        folder.write([0, 255, 10], to: "a/b/c")
        #expect(folder.read("a/b/c") == [0, 255, 10])
        folder.write("", to: "a/b/c")
        #expect(folder.read("a/b/c") == [])
        #expect(folder.read("none") == nil && folder.text("none").isEmpty)
    }

    @Test func `two folders are two`() {
        #expect(TemporaryFolder().path != TemporaryFolder().path)
        let one = TemporaryFolder()
        let two = TemporaryFolder()
        one.write("x", to: "file")
        #expect(two.read("file") == nil)
    }

    @Test func `a link to a folder is removed without what it points at`() {
        let kept = TemporaryFolder()
        kept.write("x", to: "file")
        var folder: TemporaryFolder? = TemporaryFolder()
        if let folder { #expect(unsafe symlink(kept.path, folder("link")) == 0) }
        let path = folder?.path ?? ""
        folder = nil
        #expect(unsafe access(path, F_OK) != 0)
        #expect(kept.text("file") == "x")
    }

    @Test func `random edits leave a text alone only now and then`() {
        var generator = JSONGenerator(SeededRandom(seed: 51))
        let texts = (0..<200).map { _ in generator.object(depth: 2) }
        let changed = texts.filter { generator.edited($0) != Array($0.utf8) }
        #expect(changed.count > 100, "\(generator.random)")
    }
}
