internal import Glibc

/// Memory of slabs: it grows in place where the system can move pages instead of bytes, and in
/// large pages where there is much of it, because keys are looked up all over the place.
enum SlabMemory {
    private static let hugeFrom = 4 << 20
    private static let pageSize = 4096

    /// Zeros.
    static func zeros<Element: BitwiseCopyable>(
        _ type: Element.Type, _ capacity: Int
    ) -> UnsafeMutablePointer<Element> {
        let size = max(capacity, 1) * MemoryLayout<Element>.stride
        let memory = unsafe calloc(size, 1)
        return unsafe ready(memory, size)
    }

    /// The same elements with more room, or less.
    static func resize<Element: BitwiseCopyable>(
        _ base: UnsafeMutablePointer<Element>, to capacity: Int
    ) -> UnsafeMutablePointer<Element> {
        let size = max(capacity, 1) * MemoryLayout<Element>.stride
        let memory = unsafe realloc(base, size)
        return unsafe ready(memory, size)
    }

    static func release<Element: BitwiseCopyable>(_ base: UnsafeMutablePointer<Element>) {
        unsafe free(base)
    }

    private static func ready<Element>(
        _ memory: UnsafeMutableRawPointer?, _ size: Int
    ) -> UnsafeMutablePointer<Element> {
        guard let memory = unsafe memory else { preconditionFailure("no memory for windows") }
        if size >= hugeFrom {
            let start = UInt(bitPattern: memory)
            let first = (start + UInt(pageSize) - 1) / UInt(pageSize) * UInt(pageSize)
            let last = (start + UInt(size)) / UInt(pageSize) * UInt(pageSize)
            // Only advice: where it is not taken, everything works as well.
            _ = unsafe madvise(
                UnsafeMutableRawPointer(bitPattern: first), Int(last - first), MADV_HUGEPAGE)
        }
        return unsafe memory.assumingMemoryBound(to: Element.self)
    }
}
