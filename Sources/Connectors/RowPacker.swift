internal import CCompression
internal import Records

/// How a file is packed, by the end of its name.
enum Packing: Sendable {
    case gzip, zstandard

    /// The packing of a path, and the path without its ending.
    static func split(_ path: String) -> (packing: Packing?, rest: String) {
        let lower = path.lowercased()
        if lower.hasSuffix(".gz") { return (.gzip, String(path.dropLast(3))) }
        if lower.hasSuffix(".zst") { return (.zstandard, String(path.dropLast(4))) }
        return (nil, path)
    }

    /// One member with all of the bytes.
    func pack(_ bytes: [UInt8]) -> [UInt8] {
        let packer = RowPacker(self)
        unsafe bytes.span.bytes.withUnsafeBytes { unsafe packer.add($0) }
        return packer.end(evenEmpty: true)
    }
}

/// Packs rows into members of gzip, or frames of zstd: a file of such is one text, and can be cut
/// between any two.
@safe
final class RowPacker {
    private var stream = unsafe z_stream()
    private let context: OpaquePointer?
    private var packed = ByteBuffer()
    private(set) var isEmpty = true

    init(_ packing: Packing) {
        if packing == .zstandard {
            unsafe context = ZSTD_createCCtx()
            unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
            return
        }
        unsafe context = nil
        // 16 more than the largest window: with the header of gzip.
        unsafe deflateInit2_(
            &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY,
            ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    }

    deinit {
        if let context = unsafe context {
            unsafe ZSTD_freeCCtx(context)
        } else {
            unsafe deflateEnd(&stream)
        }
    }

    /// Bytes of the member so far, but for those that the packer still holds.
    var count: Int { packed.count }

    /// So much of the member is there that it is better ended.
    var isFull: Bool { packed.count >= 1 << 20 }

    func add(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        isEmpty = false
        unsafe run(bytes, ends: false)
    }

    /// The bytes of the member, which ends here; nothing when nothing was added.
    func end(evenEmpty: Bool = false) -> [UInt8] {
        guard !isEmpty || evenEmpty else { return [] }
        unsafe run(UnsafeRawBufferPointer(start: nil, count: 0), ends: true)
        if unsafe context == nil { unsafe deflateReset(&stream) }
        isEmpty = true
        defer { packed.removeAll() }
        return unsafe packed.withUnsafeBytes { unsafe Array($0) }
    }

    private func run(_ bytes: UnsafeRawBufferPointer, ends: Bool) {
        if unsafe context == nil {
            unsafe deflateAll(bytes, ends)
        } else {
            unsafe compressAll(bytes, ends)
        }
    }

    private static let step = 1 << 16

    private func deflateAll(_ bytes: UnsafeRawBufferPointer, _ ends: Bool) {
        unsafe stream.next_in = unsafe UnsafeMutablePointer(
            mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.avail_in = UInt32(bytes.count)
        var isDone = false
        while !isDone {
            var status = Z_OK
            _ = unsafe packed.appendUnsafely(limit: Self.step) { space in
                unsafe stream.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
                unsafe stream.avail_out = UInt32(space.count)
                status = unsafe deflate(&stream, ends ? Z_FINISH : Z_NO_FLUSH)
                return unsafe space.count - Int(stream.avail_out)
            }
            isDone =
                ends
                ? status == Z_STREAM_END
                : unsafe stream.avail_in == 0 && stream.avail_out > 0
        }
    }

    private func compressAll(_ bytes: UnsafeRawBufferPointer, _ ends: Bool) {
        var source = unsafe ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        var left = 1
        while unsafe source.pos < source.size || (ends && left > 0) {
            _ = unsafe packed.appendUnsafely(limit: Self.step) { space in
                var target = unsafe ZSTD_outBuffer(
                    dst: space.baseAddress, size: space.count, pos: 0)
                left = unsafe ZSTD_compressStream2(
                    context, &target, &source, ends ? ZSTD_e_end : ZSTD_e_continue)
                return unsafe target.pos
            }
            precondition(ZSTD_isError(left) == 0, "zstd packs whatever it is given")
        }
    }
}
