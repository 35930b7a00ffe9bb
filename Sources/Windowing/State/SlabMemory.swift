internal import Glibc

/// Memory of slabs. Keys are looked up all over the place, so where there is much of it, it lies
/// in large pages, at whose bounds it has to begin: few of them cover all of it.
enum SlabMemory {
    private static let hugeFrom = 4 << 20
    private static let hugePage = 2 << 20
    private static let page = 4096

    /// Zeros.
    static func zeros<Element: BitwiseCopyable>(
        _ type: Element.Type, _ capacity: Int
    ) -> UnsafeMutablePointer<Element> {
        let size = bytes(type, capacity)
        let memory = size < hugeFrom ? unsafe calloc(size, 1) : unsafe map(size)
        return unsafe sure(memory).assumingMemoryBound(to: Element.self)
    }

    /// The same elements with more room, or less; `old` is how many there was room for.
    static func resize<Element: BitwiseCopyable>(
        _ base: UnsafeMutablePointer<Element>, from old: Int, to capacity: Int
    ) -> UnsafeMutablePointer<Element> {
        let oldSize = bytes(Element.self, old)
        let size = bytes(Element.self, capacity)
        if max(oldSize, size) < hugeFrom {
            return unsafe sure(realloc(base, size)).assumingMemoryBound(to: Element.self)
        }
        let fresh = unsafe UnsafeMutableRawPointer(zeros(Element.self, capacity))
        unsafe move(UnsafeMutableRawPointer(base), to: fresh, min(oldSize, size))
        unsafe release(base, old)
        return unsafe fresh.assumingMemoryBound(to: Element.self)
    }

    /// Gives memory back that there was room for `capacity` elements in.
    static func release<Element: BitwiseCopyable>(
        _ base: UnsafeMutablePointer<Element>, _ capacity: Int
    ) {
        let size = bytes(Element.self, capacity)
        if size < hugeFrom { return unsafe free(base) }
        unsafe munmap(base, roundedUp(size, page))
    }

    /// Copies piece by piece, and gives the pieces back at once, so that not all is there twice.
    private static func move(
        _ old: UnsafeMutableRawPointer, to fresh: UnsafeMutableRawPointer, _ size: Int
    ) {
        let piece = 4 * hugePage
        let isMapped = UInt(bitPattern: old) % UInt(hugePage) == 0
        var at = 0
        while at < size {
            let length = min(piece, size - at)
            unsafe (fresh + at).copyMemory(from: old + at, byteCount: length)
            if isMapped, length == piece { unsafe _ = madvise(old + at, length, MADV_DONTNEED) }
            at += length
        }
    }

    private static func bytes<Element>(_ type: Element.Type, _ capacity: Int) -> Int {
        max(capacity, 1) * MemoryLayout<Element>.stride
    }

    private static func roundedUp(_ size: Int, _ unit: Int) -> Int {
        (size + unit - 1) / unit * unit
    }

    private static func map(_ size: Int) -> UnsafeMutableRawPointer? {
        let length = roundedUp(size, page)
        let whole = unsafe mmap(
            nil, length + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let whole = unsafe whole, Int(bitPattern: whole) != -1 else { return nil }
        let skipped = roundedUp(Int(bitPattern: whole), hugePage) - Int(bitPattern: whole)
        let start = unsafe whole + skipped
        if skipped > 0 { unsafe munmap(whole, skipped) }
        if skipped < hugePage { unsafe munmap(start + length, hugePage - skipped) }
        // Only advice: where it is not taken, everything works as well.
        unsafe _ = madvise(start, length, MADV_HUGEPAGE)
        return unsafe start
    }

    private static func sure(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        guard let memory = unsafe memory else { preconditionFailure("no memory for windows") }
        return unsafe memory
    }
}
