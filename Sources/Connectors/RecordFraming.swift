internal import Connecting
internal import Records

/// Finds the records in the text of one file, where they are not simply its lines.
protocol RecordFraming: AnyObject {
    /// True once everything is known that the start of the file has to say.
    var isPrepared: Bool { get }
    /// What is read was read before, and all about it was said.
    var isRepeated: Bool { get set }
    /// What is pending from here on is another part of the file.
    func restart()
    /// So many bytes of the first record were delivered already, before its line was whole.
    var continued: Int { get set }
    /// Moves whole records from `pending` into the batch; false when there is none yet.
    func take(
        from pending: inout ByteBuffer, into batch: Batch, at place: inout TextPlace, isEnd: Bool,
        records: Int?
    ) throws(ConnectorError) -> Bool
    /// Gives up a record that begins at the start of `pending`, is not whole, and longer than the
    /// limit; false when the bytes up to its end have to be passed over.
    func giveUp(
        _ pending: inout ByteBuffer, into batch: Batch, at place: inout TextPlace
    ) throws(ConnectorError) -> Oversize
}

/// What becomes of a record that is longer than it may be.
enum Oversize {
    /// It has become a dead letter.
    case given
    /// It may still end well.
    case waits
    /// Its end is looked for, with quotes that hide line breaks behind this delimiter.
    case skipped(delimiter: UInt8?)
}

/// A place in a text.
struct TextPlace: Hashable {
    var offset: UInt64 = 0
    var line: UInt64 = 1
}

extension Batch {
    /// Adds a record that is none, with its bytes as far as they are kept.
    func add(
        problem: String, of bytes: UnsafeRawBufferPointer, at place: TextPlace,
        isContinued: Bool = false
    ) {
        let start = originals.count
        let kept = unsafe keptLength(bytes)
        unsafe originals.append(UnsafeRawBufferPointer(rebasing: bytes[..<kept]))
        let keptEnd = originals.count
        originals.append(contentsOf: problem.utf8)
        var entry = Entry(
            text: 0..<0, original: start..<keptEnd, problem: keptEnd..<originals.count,
            position: place.offset, line: place.line, originalLength: UInt64(bytes.count))
        entry.isContinued = isContinued
        entries.append(entry)
    }

    /// Adds a line that was delivered before it was whole.
    func addContinued(_ bytes: UnsafeRawBufferPointer, delivered: Int, at place: TextPlace) {
        unsafe add(
            problem: "the line was continued after its first \(delivered) bytes were delivered",
            of: bytes, at: place, isContinued: true)
    }
}

/// How many of the first bytes of a record that is none are kept: 64 KiB, cut between characters,
/// which have four bytes at most.
func keptLength(_ bytes: UnsafeRawBufferPointer) -> Int {
    var count = min(64 << 10, bytes.count)
    let least = max(0, count - 3)
    while count > least, count < bytes.count, unsafe bytes[count] & 0xC0 == 0x80 { count -= 1 }
    return count
}
