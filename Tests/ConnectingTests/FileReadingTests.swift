import Connecting
import Glibc
import TestKit
import Testing

@Suite struct FileReadingTests {
    @Test func `what is no regular file is named and not waited for`() {
        let folder = TemporaryFolder()
        folder.write("x", to: "file")
        folder.write("x", to: "folder/file")
        mkfifo(folder("pipe"), 0o600)
        let large = open(folder("large"), O_CREAT | O_WRONLY, 0o600)
        ftruncate(large, 17 << 20)
        close(large)
        #expect(fileProblem(folder("file")) == nil)
        #expect(fileProblem(folder("nothing")) == nil)
        #expect(fileProblem(folder("pipe")) == "is a pipe (FIFO), not a file")
        #expect(fileProblem(folder("folder")) == "is a directory, not a file")
        #expect(fileProblem("/dev/zero") == "is a device, not a file")
        #expect(
            fileProblem(folder("large"))?.hasSuffix("the largest that is read has 16 MiB") == true)
        #expect(fileProblem(folder("large"), largest: largestLookup) == nil)
        #expect(readFile(folder("file")) == Array("x".utf8))
        for name in ["pipe", "folder", "large", "nothing"] {
            #expect(readFile(folder(name)) == nil, "\(name)")
        }
        #expect(readFile("/dev/zero") == nil)
        #expect(readFile(folder("large"), largest: largestLookup)?.count == 17 << 20)
    }

    /// A link to a file is as good as the file.
    @Test func `links are followed`() {
        let folder = TemporaryFolder()
        folder.write("x", to: "file")
        symlink(folder("file"), folder("link"))
        #expect(fileProblem(folder("link")) == nil)
        #expect(readFile(folder("link")) == Array("x".utf8))
    }
}
