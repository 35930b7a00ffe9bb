/// Where the next record of a file begins, and how the file is known again.
struct FilePosition: Hashable {
    /// Some bytes of a text, as a digest.
    struct Fingerprint: Hashable {
        var length: UInt64 = 0
        var digest: UInt64 = 0

        init(length: UInt64 = 0, digest: UInt64 = 0) {
            self.length = length
            self.digest = digest
        }

        /// FNV-1a (Fowler, Noll, Vo).
        init(_ bytes: some Collection<UInt8>) {
            length = UInt64(bytes.count)
            digest = bytes.reduce(0xcbf2_9ce4_8422_2325) {
                ($0 ^ UInt64($1)) &* 0x100_0000_01b3
            }
            if bytes.isEmpty { digest = 0 }
        }
    }

    /// Bytes of the text, unpacked where it was packed.
    var offset: UInt64 = 0
    var line: UInt64 = 1
    /// How often the name was given to another file.
    var generation = 1
    /// The first bytes of the text, and those before the offset.
    var head = Fingerprint()
    var tail = Fingerprint()
    var identity = FileIdentity()
    /// So many bytes before the offset are a line that was delivered before it was whole.
    var delivered: UInt64 = 0
    /// The next record is an element of a list that has begun.
    var isInList = false
    /// An older version has noted it: there is no tail, and the head is that of the packed bytes.
    var isOld = false
    /// The name under which the file was last seen.
    var shown = ""

    init() {}

    private static let mark = "v2"

    /// Reads what `encoded` has written, or an older version.
    init?(_ bytes: [UInt8]) {
        let words = String(decoding: bytes, as: UTF8.self).split(
            separator: " ", maxSplits: 12, omittingEmptySubsequences: false)
        let isNew = words.first.map { $0 == Self.mark } ?? false
        let numbers = words.dropFirst(isNew ? 1 : 0).prefix(isNew ? 11 : 5).compactMap {
            UInt64($0)
        }
        guard
            isNew
                ? numbers.count == 11 && words.count == 13 : words.count == 5 && numbers.count == 5
        else { return nil }
        offset = numbers[0]
        line = numbers[1]
        generation = Int(clamping: numbers[2])
        head = Fingerprint(length: numbers[3], digest: numbers[4])
        guard isNew else {
            isOld = true
            return
        }
        tail = Fingerprint(length: numbers[5], digest: numbers[6])
        identity = FileIdentity(device: numbers[7], inode: numbers[8])
        delivered = min(numbers[9], offset)
        isInList = numbers[10] == 1
        shown = String(words[12])
    }

    var encoded: [UInt8] {
        let numbers = [
            offset, line, UInt64(generation), head.length, head.digest, tail.length, tail.digest,
            identity.device, identity.inode, delivered, isInList ? 1 : 0,
        ]
        let texts = [Self.mark] + numbers.map { "\($0)" } + [shown]
        return Array(texts.joined(separator: " ").utf8)
    }
}
