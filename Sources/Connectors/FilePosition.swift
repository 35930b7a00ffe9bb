internal import Glibc

/// Where the next record of a file begins, and how the file is known again.
struct FilePosition: Hashable {
    /// The first bytes of a file, as a digest. A file that was replaced under the same name begins
    /// with others; one that has grown still begins with these.
    struct Fingerprint: Hashable {
        static let limit: UInt64 = 1024
        var length: UInt64 = 0
        var digest: UInt64 = 0

        /// Takes in more of the file's start, as far as it was read.
        mutating func grow(_ descriptor: Int32, to read: UInt64) {
            guard length < Self.limit, read > length else { return }
            (length, digest) = Self.digest(descriptor, min(read, Self.limit))
        }

        func matches(_ descriptor: Int32) -> Bool {
            length == 0 || Self.digest(descriptor, length) == (length, digest)
        }

        /// FNV-1a (Fowler, Noll, Vo) of the first bytes, and how many there are.
        private static func digest(_ descriptor: Int32, _ length: UInt64) -> (UInt64, UInt64) {
            var bytes = [UInt8](repeating: 0, count: Int(length))
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe pread(descriptor, $0.baseAddress, $0.count, 0)
            }
            let start = bytes.prefix(max(count, 0))
            let digest = start.reduce(0xcbf2_9ce4_8422_2325) {
                ($0 ^ UInt64($1)) &* 0x100_0000_01b3
            }
            return (UInt64(start.count), digest)
        }
    }

    /// Bytes of the text, unpacked where it was packed.
    var offset: UInt64
    var line: UInt64
    /// How often the name was given to another file.
    var generation: Int
    var fingerprint: Fingerprint

    init(offset: UInt64, line: UInt64, generation: Int, fingerprint: Fingerprint) {
        self.offset = offset
        self.line = line
        self.generation = generation
        self.fingerprint = fingerprint
    }

    /// Reads what `encoded` has written.
    init?(_ bytes: [UInt8]) {
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        let numbers = words.compactMap { UInt64($0) }
        guard numbers.count == 5 else { return nil }
        self.init(
            offset: numbers[0], line: numbers[1], generation: Int(numbers[2]),
            fingerprint: Fingerprint(length: numbers[3], digest: numbers[4]))
    }

    var encoded: [UInt8] {
        Array(
            "\(offset) \(line) \(generation) \(fingerprint.length) \(fingerprint.digest)".utf8)
    }
}
