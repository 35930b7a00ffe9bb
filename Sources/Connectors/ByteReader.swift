internal import Connecting
internal import Glibc
internal import Records

/// Bytes of one open file, unpacked when its name says that it is packed.
final class ByteReader {
    /// What a call brought.
    enum Outcome {
        case bytes
        case nothingYet
        case end
        /// What was read is no longer in the file.
        case replaced
    }

    let descriptor: Int32
    /// What the file was when it was opened.
    let opened: FileStatus
    private let shown: String
    private let decompressor: (any Decompressor)?
    private var packed = ByteBuffer()
    private var lastWasFull = false
    /// Bytes of the file that were read, and the last of them.
    private var offset: UInt64 = 0
    private var recent: [UInt8] = []
    /// The first bytes of the file, as far as they were read.
    private(set) var first: [UInt8] = []
    /// The file as it was when those bytes were last found in it.
    private(set) var intact: FileStatus?

    /// So many bytes tell whether a file is still what it was.
    static let probeLength = 1024

    init(path: String, shown: String, packing: TextFormat.Packing) throws(ConnectorError) {
        self.shown = shown
        descriptor = path == "-" ? 0 : try openForReading(path, shown: shown)
        opened = FileStatus(descriptor: descriptor) ?? FileStatus()
        decompressor = packing.decompressor(shown: shown)
    }

    deinit { if descriptor != 0 { close(descriptor) } }

    var isPacked: Bool { decompressor != nil }
    /// The packed data is not whole, as far as it was read.
    var endsEarly: Bool { decompressor.map { !$0.isComplete } ?? false }

    /// Appends up to `limit` bytes; waits at most `milliseconds` for a pipe.
    func read(
        into buffer: inout ByteBuffer, limit: Int, milliseconds: Int
    ) throws(ConnectorError) -> Outcome {
        guard isIntact() else { return .replaced }
        guard let decompressor else {
            return try readRaw(into: &buffer, limit: limit, milliseconds: milliseconds)
        }
        let before = buffer.count
        while buffer.count == before {
            var isAtEnd = false
            if packed.isEmpty && !lastWasFull {
                let outcome = try readRaw(
                    into: &packed, limit: 64 << 10, milliseconds: milliseconds)
                if case .nothingYet = outcome { return .nothingYet }
                if case .end = outcome { isAtEnd = true }
            }
            let used = try unsafe packed.withUnsafeBytes { (input) throws(ConnectorError) in
                try unsafe decompressor.unpack(input, into: &buffer, limit: limit)
            }
            packed.removeFirst(used)
            // A full output may leave more inside the decompressor without further input.
            lastWasFull = buffer.count - before == limit
            if buffer.count == before && used == 0 {
                if isAtEnd { return .end }
                if !packed.isEmpty { throw ConnectorError("\(shown): the packed data is damaged") }
            }
        }
        return .bytes
    }

    /// Goes to a byte of a file that is not packed.
    func seek(to place: UInt64) {
        lseek(descriptor, off_t(place), SEEK_SET)
        offset = place
        recent = bytes(before: place)
        first = bytes(from: 0, count: Int(min(place, UInt64(Self.probeLength))))
        intact = nil
    }

    /// Up to 1 KiB of a file that is not packed, before a byte of it.
    func bytes(before place: UInt64) -> [UInt8] {
        let count = min(place, UInt64(Self.probeLength))
        return bytes(from: place - count, count: Int(count))
    }

    /// Up to 1 KiB before a place that was read, also when the file has lost it since then.
    func readBytes(before place: UInt64) -> [UInt8] {
        if isIntact() { return bytes(before: place) }
        guard place <= offset, offset - place < UInt64(recent.count) else { return [] }
        return Array(recent.dropLast(Int(offset - place)))
    }

    /// Some bytes of the file itself, fewer when it ends before.
    func bytes(from place: UInt64, count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = unsafe bytes.withUnsafeMutableBytes {
            unsafe pread(descriptor, $0.baseAddress, $0.count, off_t(place))
        }
        return got == count ? bytes : Array(bytes.prefix(max(got, 0)))
    }

    /// The bytes that were read last are still where they were. Nothing is read of a file whose
    /// size and times are as before.
    func isIntact() -> Bool {
        guard opened.isRegular, let now = FileStatus(descriptor: descriptor) else { return true }
        if now == intact { return true }
        guard now.size >= offset else { return false }
        let there = bytes(from: offset - UInt64(recent.count), count: recent.count)
        guard there == recent else { return false }
        intact = now
        return true
    }

    private func readRaw(
        into buffer: inout ByteBuffer, limit: Int, milliseconds: Int
    ) throws(ConnectorError) -> Outcome {
        if !opened.isRegular && !waitReadable(descriptor, milliseconds: milliseconds) {
            return .nothingYet
        }
        var code: Int32 = 0
        let count = unsafe buffer.appendUnsafely(limit: limit) { space in
            let got = unsafe Glibc.read(descriptor, space.baseAddress, space.count)
            code = got < 0 ? errno : 0
            return max(got, 0)
        }
        if code == EINTR || code == EAGAIN { return .nothingYet }
        if code != 0 { throw ConnectorError("\(shown): \(systemText(code))") }
        guard count > 0 else { return .end }
        note(count, endOf: buffer)
        return .bytes
    }

    private func note(_ count: Int, endOf buffer: borrowing ByteBuffer) {
        offset += UInt64(count)
        guard opened.isRegular else { return }
        let kept = min(count, Self.probeLength)
        let stays = min(recent.count, Self.probeLength - kept)
        unsafe buffer.withUnsafeBytes { bytes in
            unsafe recent = recent.suffix(stays) + [UInt8](bytes[(bytes.count - kept)...])
            guard first.count < Self.probeLength else { return }
            let start = unsafe bytes[(bytes.count - count)...]
            unsafe first += start.prefix(Self.probeLength - first.count)
        }
    }
}
