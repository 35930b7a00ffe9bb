internal import Connecting
internal import Glibc
internal import Journal

/// All bytes of a regular file, or nil when it cannot be read.
package func readWholeFile(_ path: String) -> [UInt8]? {
    readFile(path, largest: .max, keepsMark: true)
}

/// The names in a folder; empty when it cannot be read.
package func fileNames(in folder: String) -> [String] {
    (try? SystemDisk().names(in: folder)) ?? []
}

/// A path that another process understands as well.
package func absolute(_ path: String) -> String {
    if path.hasPrefix("/") { return path }
    guard let folder = unsafe getcwd(nil, 0) else { return path }
    defer { unsafe free(folder) }
    return unsafe String(cString: folder) + "/" + path
}
