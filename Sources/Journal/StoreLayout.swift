/// The names of everything in a store's directory.
public struct StoreLayout: Hashable, Sendable {
    /// The store's directory.
    public let directory: String

    /// Names the parts of a store.
    public init(_ directory: String) { self.directory = directory }

    /// The directory the store's own lies in; empty for the current one.
    var parent: String {
        directory.lastIndex(of: "/").map {
            $0 == directory.startIndex ? "/" : String(directory[..<$0])
        } ?? ""
    }
    var journal: String { directory + "/journal" }
    var snapshots: String { directory + "/snapshots" }
    var quarantine: String { directory + "/quarantine" }
    var lock: String { directory + "/LOCK" }
    var format: String { directory + "/FORMAT" }
    var position: String { directory + "/POSITION" }

    func segment(_ number: UInt32) -> String { journal + "/" + Self.segmentName(number) }
    func spare(_ number: UInt32) -> String { "\(journal)/spare-\(Self.padded(number))" }
    func snapshot(_ sequence: UInt64) -> String {
        snapshots + "/" + Self.snapshotName(sequence)
    }

    static func segmentName(_ number: UInt32) -> String { padded(number) + ".seg" }
    static func snapshotName(_ sequence: UInt64) -> String {
        let digits = String(sequence)
        return String(repeating: "0", count: max(0, 20 - digits.count)) + digits + ".snap"
    }
    static func segmentNumber(_ name: String) -> UInt32? {
        name.hasSuffix(".seg") ? UInt32(name.dropLast(4)) : nil
    }
    static func snapshotSequence(_ name: String) -> UInt64? {
        name.hasSuffix(".snap") ? UInt64(name.dropLast(5)) : nil
    }
    static func spareNumber(_ name: String) -> UInt32? {
        name.hasPrefix("spare-") ? UInt32(name.dropFirst(6)) : nil
    }

    private static func padded(_ number: UInt32) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }
}

/// The file FORMAT: which version of the layout a store has, and who it is.
struct StoreFormat: Hashable {
    static let current = 1
    var store: StoreIdentity

    func encoded() -> [UInt8] { Array("format \(Self.current)\nstore \(store)\n".utf8) }

    static func read(_ bytes: [UInt8], path: String) throws(JournalError) -> StoreFormat {
        var format: Int?
        var store: StoreIdentity?
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2 else { continue }
            if words[0] == "format" { format = Int(words[1]) }
            if words[0] == "store" { store = StoreIdentity(words[1]) }
        }
        if let format, format > current {
            throw .newer(path, format)
        }
        guard format != nil, let store else {
            throw JournalError(
                .damaged, "\(path): not the format of a store; restore it from a backup")
        }
        return StoreFormat(store: store)
    }
}

extension JournalError {
    static func newer(_ path: String, _ format: Int) -> JournalError {
        JournalError(
            .newerFormat,
            "\(path): format \(format) is newer than \(StoreFormat.current), the one known here; "
                + "use the version of tidewheel that wrote it")
    }
}
