internal import Connecting
internal import Glibc
internal import Records

/// Finds JSON texts that follow each other with any white space, or as the elements of a list.
///
/// A record is given without the line breaks around its values, since what goes out are lines. One
/// that is not whole ends where a later line begins with `{`, or with the line that is wrong in it.
final class JSONFraming: RecordFraming {
    private let shown: String
    private let warn: (String) -> Void
    /// The text that begins at the start of what is pending; nil between texts.
    private var scan: JSONScan?
    /// That text is wrong at this byte.
    private var wrong: Int?
    /// Between the brackets of a list whose elements are records.
    private(set) var isInList: Bool
    /// An element has ended, so a comma comes next; nil when that is not known.
    private var wantsComma: Bool?
    private var hasWarned = false
    private var longText: LongText?
    private let recordLimit: Int
    /// From which places on the records of the last batch are elements of a list, or are not.
    private var changes: [(offset: UInt64, isInList: Bool)] = []
    var continued = 0
    var isRepeated = false

    init(shown: String, recordLimit: Int, warn: @escaping (String) -> Void) {
        self.shown = shown
        self.recordLimit = recordLimit
        isInList = false
        self.warn = warn
    }

    var isPrepared: Bool { true }

    /// What is pending is a whole text when nothing follows it.
    var isWhole: Bool { scan?.isWord ?? true }

    func restart() {}

    /// Goes on behind what an earlier run has read.
    func resume(isInList: Bool) {
        self.isInList = isInList
        changes = [(0, isInList)]
    }

    /// Is the record that begins there, in the last batch or behind it, an element of a list?
    func isInList(at offset: UInt64) -> Bool {
        changes.last { $0.offset <= offset }?.isInList ?? isInList
    }

    func take(
        from pending: inout ByteBuffer, into batch: Batch, at place: inout TextPlace, isEnd: Bool,
        records: Int?
    ) throws(ConnectorError) -> Bool {
        if batch.entries.isEmpty { changes = [(0, isInList)] }
        if longText != nil { return passLongText(&pending, into: batch, at: &place, isEnd) }
        var used = 0
        let start = place
        unsafe pending.withUnsafeBytes { bytes in
            while batch.entries.count < records ?? .max {
                place.offset = start.offset + UInt64(used)
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[used...])
                if scan == nil {
                    used += unsafe passSpace(rest, at: &place)
                    guard scan != nil else { break }
                    continue
                }
                let step = unsafe takeText(rest, into: batch, at: &place, isEnd)
                guard step > 0 else { break }
                used += step
            }
            place.offset = start.offset + UInt64(used)
        }
        pending.removeFirst(used)
        if isEnd, pending.isEmpty, isInList { note("the list is never closed", at: place) }
        return !batch.entries.isEmpty
    }

    private func note(_ problem: String, at place: TextPlace) {
        guard !hasWarned else { return }
        hasWarned = true
        warn("\(shown):\(place.line): \(problem); its records are read all the same")
    }

    /// Passes over what stands between texts; begins with a text when there is one, which takes no
    /// byte.
    private func passSpace(_ rest: UnsafeRawBufferPointer, at place: inout TextPlace) -> Int {
        var at = 0
        let start = place.offset
        while at < rest.count {
            let byte = unsafe rest[at]
            place.offset = start + UInt64(at)
            if JSONScan.isSpace(byte) {
                if byte == 0x0A { place.line += 1 }
            } else if byte == 0x5B, !isInList {
                change(isInList: true, behind: place)
            } else if byte == 0x5D, isInList {
                if wantsComma == false { note("a comma without an element", at: place) }
                change(isInList: false, behind: place)
            } else if byte == 0x2C, isInList {
                if wantsComma == false { note("a comma without an element", at: place) }
                wantsComma = false
            } else {
                if isInList, wantsComma == true { note("a comma is missing", at: place) }
                scan = JSONScan()
                wrong = nil
                return at
            }
            at += 1
        }
        return at
    }

    private func change(isInList: Bool, behind place: TextPlace) {
        self.isInList = isInList
        wantsComma = nil
        changes.append((place.offset + 1, isInList))
    }

    /// The text at the start of the bytes, when its end is there; returns its length.
    private func takeText(
        _ rest: UnsafeRawBufferPointer, into batch: Batch, at place: inout TextPlace, _ isEnd: Bool
    ) -> Int {
        guard var scan else { return 0 }
        var end: Int?
        if wrong == nil {
            switch unsafe scan.scan(rest) {
            case .whole(let found): end = found
            case .wrong(let found): wrong = found
            case .unfinished where isEnd && scan.isWord: end = rest.count
            case .unfinished where isEnd: wrong = rest.count
            case .unfinished: break
            }
            self.scan = scan
        }
        if let end {
            unsafe add(rest, end, to: batch, at: &place)
            return end
        }
        guard let wrong, let cut = unsafe cutOff(rest, wrong, isEnd) else { return 0 }
        let text = unsafe UnsafeRawBufferPointer(rebasing: rest[..<cut])
        let what = wrong < rest.count ? "unexpected byte" : "the text ends too early"
        unsafe batch.add(problem: "malformed JSON: \(what) at byte \(wrong)", of: text, at: place)
        unsafe endText(text, at: &place)
        return cut
    }

    /// Where a text ends that is wrong at a byte: before the next line that begins with `{`, or
    /// with the line of that byte; nil when that line is not there as a whole.
    private func cutOff(
        _ rest: UnsafeRawBufferPointer, _ wrong: Int, _ isEnd: Bool
    ) -> Int? {
        var at = 0
        while at + 1 < rest.count, at < wrong {
            if unsafe rest[at] == 0x0A && rest[at + 1] == 0x7B { return at }
            at += 1
        }
        let end = unsafe rest[min(wrong, rest.count)...].firstIndex(of: 0x0A)
        return end ?? (isEnd ? rest.count : nil)
    }

    private func endText(_ text: UnsafeRawBufferPointer, at place: inout TextPlace) {
        place.line += unsafe countNewlines(text)
        scan = nil
        wrong = nil
        wantsComma = true
    }

    private func add(
        _ rest: UnsafeRawBufferPointer, _ end: Int, to batch: Batch, at place: inout TextPlace
    ) {
        let text = unsafe UnsafeRawBufferPointer(rebasing: rest[..<end])
        let original = batch.originals.count
        unsafe batch.originals.append(text)
        let start = batch.bytes.count
        unsafe Self.writeOnOneLine(text, to: &batch.bytes)
        batch.entries.append(
            Batch.Entry(
                text: start..<batch.bytes.count, original: original..<batch.originals.count,
                problem: 0..<0, position: place.offset, line: place.line,
                originalLength: UInt64(end)))
        unsafe endText(text, at: &place)
    }

    /// Leaves out line breaks, which stand between values only, and the white space behind them.
    private static func writeOnOneLine(_ text: UnsafeRawBufferPointer, to out: inout ByteBuffer) {
        var at = 0
        while at < text.count {
            var end = at
            while end < text.count, unsafe text[end] != 0x0A, unsafe text[end] != 0x0D { end += 1 }
            unsafe out.append(UnsafeRawBufferPointer(rebasing: text[at..<end]))
            at = end
            while at < text.count, unsafe JSONScan.isSpace(text[at]) { at += 1 }
        }
    }

    // MARK: Texts that are too long

    /// A text of which only the start is kept.
    private struct LongText {
        var kept: [UInt8]
        var length = 0
        var lineBreaks: UInt64 = 0
    }

    func giveUp(
        _ pending: inout ByteBuffer, into batch: Batch, at place: inout TextPlace
    ) throws(ConnectorError) -> Oversize {
        guard wrong == nil, scan != nil else {
            (scan, wrong, wantsComma) = (nil, nil, nil)
            return .skipped(delimiter: nil)
        }
        longText = unsafe pending.withUnsafeBytes { bytes in
            unsafe LongText(kept: [UInt8](bytes[..<keptLength(bytes)]))
        }
        pass(pending.count, &pending)
        return .waits
    }

    /// The next bytes belong to the text that is too long.
    private func pass(_ count: Int, _ pending: inout ByteBuffer) {
        longText?.lineBreaks += unsafe pending.withUnsafeBytes { bytes in
            unsafe countNewlines(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
        longText?.length += count
        pending.removeFirst(count)
        scan?.forgetBytes()
    }

    private func passLongText(
        _ pending: inout ByteBuffer, into batch: Batch, at place: inout TextPlace, _ isEnd: Bool
    ) -> Bool {
        guard var scan else { return false }
        let outcome = unsafe pending.withUnsafeBytes { unsafe scan.scan($0) }
        self.scan = scan
        var isOver = isEnd
        var count = pending.count
        switch outcome {
        case .whole(let end): (isOver, count) = (true, end)
        case .wrong(let end): (isOver, count) = (true, max(end, 1))
        case .unfinished: break
        }
        pass(min(count, pending.count), &pending)
        guard isOver, let text = longText else { return false }
        let problem =
            "text of \(text.length) bytes is longer than the record limit of \(recordLimit) bytes"
        unsafe text.kept.withUnsafeBytes { unsafe batch.add(problem: problem, of: $0, at: place) }
        batch.entries[batch.entries.count - 1].originalLength = UInt64(text.length)
        place.offset += UInt64(text.length)
        place.line += text.lineBreaks
        longText = nil
        self.scan = nil
        wantsComma = true
        return true
    }
}
