internal import CScripting

/// All scripts, modules and schemas of a pipeline, with the version that names exactly these bytes.
public struct RuleSet: Sendable {
    /// One file of the rule set.
    public struct File: Sendable {
        /// The path relative to the pipeline folder.
        public var path: String
        /// Its bytes.
        public var bytes: [UInt8]

        /// Creates a file.
        public init(path: String, bytes: [UInt8]) {
            self.path = path
            self.bytes = bytes
        }
    }

    /// The files, sorted by path.
    public let files: [File]
    /// The first 12 hexadecimal digits of the SHA-256 over all paths and bytes.
    public let version: String

    /// Creates a rule set and computes its version.
    public init(files: [File]) {
        self.files = files.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
        var text: [UInt8] = []
        for file in self.files {
            text += Array(file.path.utf8) + [0]
            for shift in stride(from: 56, through: 0, by: -8) {
                text.append(UInt8(truncatingIfNeeded: file.bytes.count >> shift))
            }
            text += file.bytes
        }
        version = String(sha256(text).prefix(12))
    }

    /// A file's bytes.
    public func bytes(of path: String) -> [UInt8]? {
        files.first { $0.path == path }?.bytes
    }
}

/// The SHA-256 of some bytes in hexadecimal (FIPS 180-4).
public func sha256(_ bytes: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    unsafe bytes.withUnsafeBufferPointer { source in
        var start = source.baseAddress
        var length = source.count
        unsafe digest.withUnsafeMutableBufferPointer {
            unsafe tw_sha256(&start, &length, 1, $0.baseAddress)
        }
    }
    let digits = Array("0123456789abcdef".utf8)
    return String(
        decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
