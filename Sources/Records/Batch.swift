/// Records on their way from a source to a worker: bytes, and where they came from.
///
/// Either `entries` is empty and `bytes` holds JSON lines, or each entry names a slice of `bytes`.
/// A batch has one owner at a time: the source's thread fills it, then hands it over for good
/// through a bounded channel, and gets it back empty.
public final class Batch: @unchecked Sendable {  // Protected by that hand-over.
    /// What a source gave for one record that is not simply a JSON line.
    public struct Entry: Sendable {
        /// The JSON text in `bytes`; empty when `problem` says why there is none.
        public var text: Range<Int>
        /// The source's own bytes, in `originals`.
        public var original: Range<Int>
        /// Why the record is malformed, in `originals`; empty when it is sound.
        public var problem: Range<Int>
        /// Where the record began in its source, in bytes (or counted, for a generator).
        public var position: UInt64
        /// Its line in the source, counted from 1.
        public var line: UInt64
        /// The length of the source's bytes, which may be more than was kept in `originals`.
        public var originalLength: UInt64

        /// The record's own id, in `originals`; empty when it follows from its place.
        public var id = 0..<0
        /// What came with it as a JSON object, in `originals`; empty for nothing.
        public var headers = 0..<0
        /// Which delivery of it this is, counted from 1.
        public var attempt = 1
        /// The record is a line that was delivered before it was whole; `problem` says so.
        public var isContinued = false

        /// Creates an entry from its parts.
        public init(
            text: Range<Int>, original: Range<Int>, problem: Range<Int>, position: UInt64,
            line: UInt64, originalLength: UInt64
        ) {
            self.text = text
            self.original = original
            self.problem = problem
            self.position = position
            self.line = line
            self.originalLength = originalLength
        }
    }

    /// JSON lines, or the JSON texts that `entries` point into.
    public var bytes = ByteBuffer()
    /// The source's own bytes and the problems, when `entries` is not empty.
    public var originals = ByteBuffer()
    /// One per record, or empty for JSON lines.
    public var entries: ContiguousArray<Entry> = []
    /// The name of the source in `pipeline.yaml`.
    public var source = ""
    /// Which of the pipeline's sources that is, counted from 0.
    public var sourceIndex = 0
    /// What is being read, as a person would name it.
    public var file = ""
    /// Where `bytes` begin in the source, for JSON lines.
    public var position: UInt64 = 0
    /// The line number of the first line, counted from 1, for JSON lines.
    public var line: UInt64 = 1
    /// How many JSON lines `bytes` hold, when whoever has filled it knows; else 0.
    public var lineCount = 0
    /// The place of this batch in its source; outputs are written in this order.
    public var sequence: UInt64 = 0

    /// Creates an empty batch.
    public init() {}

    /// Forgets the records but keeps the memory.
    public func removeAll() {
        bytes.removeAll()
        originals.removeAll()
        entries.removeAll(keepingCapacity: true)
        position = 0
        line = 1
        lineCount = 0
    }

    /// True when there is no record in it.
    public var isEmpty: Bool { bytes.isEmpty && entries.isEmpty }
}
