internal import Glibc

/// What changes when a file that rules and tests depend on is written, made, renamed or removed.
package struct FolderState: Equatable {
    /// Others are what a person keeps there, or what a run itself writes: a report, its own output.
    private static let endings = [".lua", ".yaml", ".json", ".csv", ".jsonl"]
    private var files: [String: [Int]] = [:]

    /// Looks at a folder now.
    package init(_ folder: String) { visit(folder, depth: 0) }

    private mutating func visit(_ folder: String, depth: Int) {
        guard let directory = unsafe opendir(folder) else { return }
        defer { unsafe closedir(directory) }
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            // The store and the outputs change all the time, and no rule depends on them.
            if name.hasPrefix(".") || ["data", "out"].contains(name) { continue }
            let path = folder + "/" + name
            var status = stat()
            guard unsafe stat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                if depth < 6 { visit(path, depth: depth + 1) }
                continue
            }
            guard Self.endings.contains(where: name.hasSuffix) else { continue }
            files[path] = [
                Int(status.st_ino), Int(status.st_size), Int(status.st_mtim.tv_sec),
                Int(status.st_mtim.tv_nsec),
            ]
        }
    }
}
