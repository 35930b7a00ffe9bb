internal import Glibc

/// A folder of its own for a test, removed with everything in it when the test ends.
public final class TemporaryFolder {
    /// Its absolute path.
    public let path: String

    /// Makes an empty folder.
    public init() {
        let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? P_tmpdir
        var template = Array("\(base)/tidewheel-XXXXXX".utf8CString)
        let made = unsafe mkdtemp(&template) != nil
        precondition(made, "no temporary folder can be made in \(base)")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// The absolute path of something inside.
    public func callAsFunction(_ name: String) -> String { path + "/" + name }

    /// Writes a file; folders on the way are made.
    public func write(_ text: String, to name: String) { write(Array(text.utf8), to: name) }

    /// Writes a file; folders on the way are made.
    public func write(_ bytes: [UInt8], to name: String) {
        var folder = path
        for part in name.split(separator: "/").dropLast() {
            folder += "/" + part
            unsafe mkdir(folder, 0o777)
        }
        let file = unsafe open(self(name), O_WRONLY | O_CREAT | O_TRUNC, 0o666)
        precondition(file >= 0, "\(name) cannot be written")
        defer { close(file) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(file, $0.baseAddress, $0.count)
            }
            precondition(count > 0, "\(name) cannot be written")
            rest = rest.dropFirst(count)
        }
    }

    /// The bytes of a file, or nil when there is none.
    public func read(_ name: String) -> [UInt8]? {
        let file = unsafe open(self(name), O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(file, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += buffer[..<count]
        }
    }

    /// The text of a file, or an empty one.
    public func text(_ name: String) -> String {
        String(decoding: read(name) ?? [], as: UTF8.self)
    }

    /// Moves a file inside the folder, replacing what is there, in one step.
    public func rename(_ name: String, to other: String) {
        let isMoved = unsafe Glibc.rename(self(name), self(other)) == 0
        precondition(isMoved, "\(name) cannot be renamed")
    }

    private static func remove(_ path: String) {
        // First as a file: a link to a folder must go without what it points at.
        if unsafe unlink(path) == 0 { return }
        if let directory = unsafe opendir(path) {
            while let entry = unsafe readdir(directory) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                        unsafe String(cString: $0)
                    }
                }
                if name != "." && name != ".." { remove(path + "/" + name) }
            }
            unsafe closedir(directory)
            unsafe rmdir(path)
        }
    }
}
