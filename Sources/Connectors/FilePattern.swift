internal import Connecting
internal import Glibc

/// A path that was found, as it is opened and as people see it.
struct FoundFile: Hashable {
    var path: String
    var shown: String
}

/// A path, or a pattern of paths: `*`, `?` and `[…]` within a name, and `**` for folders at any
/// depth. A path that exists as it is written is that file, whatever characters it has.
struct FilePattern {
    let text: String
    private let full: String
    private let folder: String

    init(_ text: String, in folder: String) {
        self.text = text
        self.folder = folder
        full = resolve(text, in: folder)
    }

    /// True when it may stand for any number of files.
    var isPattern: Bool { text != "-" && text.contains { "*?[".contains($0) } }

    /// The files that there are, in the order of their names. Folders that were looked into are
    /// added to `folders`.
    func files(folders: inout Set<String>) -> [FoundFile] {
        if text == "-" { return [FoundFile(path: "-", shown: "-")] }
        guard isPattern, FileStatus(path: full) == nil else {
            folders.insert(folderName(of: full))
            return [FoundFile(path: full, shown: text)]
        }
        let parts = full.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        var paths: [String] = []
        Self.walk(full.hasPrefix("/") ? "/" : "", parts[...], &paths, &folders)
        let prefix = full.count - text.count
        var seen: Set<String> = []
        return paths.filter { seen.insert($0).inserted }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            .map { FoundFile(path: $0, shown: String($0.dropFirst(prefix))) }
    }

    private static func walk(
        _ base: String, _ parts: ArraySlice<String>, _ paths: inout [String],
        _ folders: inout Set<String>
    ) {
        guard let part = parts.first else { return }
        let rest = parts.dropFirst()
        guard part.contains(where: { "*?[".contains($0) }) else {
            let path = base + part
            if !rest.isEmpty {
                walk(path + "/", rest, &paths, &folders)
            } else if FileStatus(path: path) != nil {
                folders.insert(folderName(of: path))
                paths.append(path)
            }
            return
        }
        folders.insert(base.isEmpty ? "." : base.count > 1 ? String(base.dropLast()) : base)
        if part == "**" {
            walk(base, rest, &paths, &folders)
            for name in names(in: base, onlyFolders: true) where !name.hasPrefix(".") {
                walk(base + name + "/", parts, &paths, &folders)
            }
            return
        }
        for name in names(in: base, onlyFolders: false) {
            guard unsafe fnmatch(part, name, FNM_PERIOD) == 0 else { continue }
            if rest.isEmpty {
                paths.append(base + name)
            } else {
                walk(base + name + "/", rest, &paths, &folders)
            }
        }
    }

    /// The names in a folder; folders alone do not include links to some.
    private static func names(in base: String, onlyFolders: Bool) -> [String] {
        folderEntries(base.isEmpty ? "." : base).filter { entry in
            guard onlyFolders else { return true }
            if entry.type != UInt8(DT_UNKNOWN) { return entry.type == UInt8(DT_DIR) }
            var status = stat()
            return unsafe lstat(base + entry.name, &status) == 0
                && status.st_mode & S_IFMT == S_IFDIR
        }.map(\.name)
    }
}

/// The folder in which a path stands.
func folderName(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// A name in a folder, and what it leads to.
struct FolderEntry {
    var name: String
    var inode: UInt64
    var type: UInt8
}

/// What a folder holds but itself and the one above; empty when it cannot be read.
func folderEntries(_ path: String) -> [FolderEntry] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var entries: [FolderEntry] = []
    while let entry = unsafe readdir(directory) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                unsafe String(cString: $0)
            }
        }
        guard name != ".", name != ".." else { continue }
        entries.append(
            FolderEntry(
                name: name, inode: unsafe UInt64(entry.pointee.d_ino),
                type: unsafe entry.pointee.d_type))
    }
    return entries
}
