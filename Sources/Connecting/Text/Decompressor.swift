internal import CCompression
package import Records

/// Unpacks a stream, chunk by chunk.
package protocol Decompressor: AnyObject {
    /// Unpacks some of `input` into `output`; returns how much of the input was used.
    func unpack(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, limit: Int
    ) throws(ConnectorError) -> Int
    /// True when the stream may end here.
    var isComplete: Bool { get }
}

/// gzip (RFC 1952) by zlib; several members one after the other are one text.
@safe
package final class GzipDecompressor: Decompressor {
    private var stream = unsafe z_stream()
    private var isBetweenMembers = true
    private var hasMember = false
    private let shown: String

    package init(shown: String) {
        self.shown = shown
        // 32 more than the largest window: the header tells gzip from zlib.
        unsafe inflateInit2_(
            &stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    }

    deinit { unsafe inflateEnd(&stream) }

    package var isComplete: Bool { isBetweenMembers }

    package func unpack(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, limit: Int
    ) throws(ConnectorError) -> Int {
        guard let start = input.baseAddress else { return 0 }
        if isBetweenMembers, hasMember {
            // Tapes and block devices pad files with zeros, which no member begins with.
            var zeros = 0
            while zeros < input.count, unsafe input[zeros] == 0 { zeros += 1 }
            if zeros > 0 { return zeros }
        }
        unsafe stream.next_in = unsafe UnsafeMutablePointer(
            mutating: start.assumingMemoryBound(to: UInt8.self))
        unsafe stream.avail_in = UInt32(input.count)
        var status = Z_OK
        _ = unsafe output.appendUnsafely(limit: limit) { space in
            unsafe stream.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
            unsafe stream.avail_out = UInt32(space.count)
            status = unsafe inflate(&stream, Z_NO_FLUSH)
            return unsafe space.count - Int(stream.avail_out)
        }
        if status == Z_STREAM_END {
            isBetweenMembers = true
            hasMember = true
            unsafe inflateReset(&stream)
        } else if status == Z_OK {
            isBetweenMembers = false
        } else if status != Z_BUF_ERROR {  // Which only says that nothing could be done now.
            throw ConnectorError("\(shown): the gzip data is damaged")
        }
        return unsafe input.count - Int(stream.avail_in)
    }
}

/// Zstandard (RFC 8878) by libzstd.
@safe
package final class ZstandardDecompressor: Decompressor {
    private let stream = unsafe ZSTD_createDStream()
    private let shown: String
    package private(set) var isComplete = true

    package init(shown: String) { self.shown = shown }

    deinit { unsafe ZSTD_freeDStream(stream) }

    package func unpack(
        _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, limit: Int
    ) throws(ConnectorError) -> Int {
        var source = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var hint = 0
        _ = unsafe output.appendUnsafely(limit: limit) { space in
            var target = unsafe ZSTD_outBuffer(dst: space.baseAddress, size: space.count, pos: 0)
            hint = unsafe ZSTD_decompressStream(stream, &target, &source)
            return unsafe target.pos
        }
        if ZSTD_isError(hint) != 0 {
            let name = unsafe String(cString: ZSTD_getErrorName(hint))
            throw ConnectorError("\(shown): the zstd data is damaged (\(name))")
        }
        if unsafe source.pos > 0 { isComplete = hint == 0 }
        return unsafe source.pos
    }
}

extension TextFormat.Packing {
    /// What unpacks it; nil when nothing has to.
    package func decompressor(shown: String) -> (any Decompressor)? {
        switch self {
        case .none: nil
        case .gzip: GzipDecompressor(shown: shown)
        case .zstd: ZstandardDecompressor(shown: shown)
        }
    }
}
