internal import Glibc

/// A file in the folder `Golden` beside a test file.
public struct Golden {
    private let path: String

    /// Names the file beside a test, whose own file is `#filePath`.
    public init(_ file: String, _ name: String) {
        let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        path = (folder + ["Golden", Substring(name)]).joined(separator: "/")
    }

    /// What was recorded; empty when nothing was.
    public var text: String {
        guard let file = unsafe fopen(path, "r") else { return "" }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// Records a text.
    public func write(_ text: String) {
        guard let file = unsafe fopen(path, "w") else { return }
        defer { unsafe fclose(file) }
        unsafe fputs(text, file)
    }
}
