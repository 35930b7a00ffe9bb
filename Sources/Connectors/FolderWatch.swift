internal import Glibc

/// Hears from the system what happens in some folders (inotify).
final class FolderWatch {
    /// What has happened since the last look.
    struct News {
        /// Files that were written to.
        var written: Set<String> = []
        /// Names came, went or changed, or nobody knows what happened.
        var hasOther = false
    }

    private let descriptor: Int32
    private var folders: [Int32: String] = [:]
    private var watched: Set<String> = []
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    /// Nil when the system has none to give.
    init?() {
        descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// True when all of them are watched.
    func watch(_ wanted: Set<String>) -> Bool {
        for folder in wanted where !watched.contains(folder) {
            let events =
                UInt32(IN_MODIFY) | UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM)
                | UInt32(IN_MOVED_TO) | UInt32(IN_ATTRIB) | UInt32(IN_DELETE_SELF)
            let number = unsafe inotify_add_watch(descriptor, folder, events)
            guard number >= 0 else { continue }
            folders[number] = folder
            watched.insert(folder)
        }
        return wanted.isSubset(of: watched)
    }

    /// Waits until something happens, or the time is over.
    func wait(milliseconds: Int) { _ = waitReadable(descriptor, milliseconds: milliseconds) }

    /// What has happened; does not wait.
    func news() -> News {
        var news = News()
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return news }
            var at = 0
            while at + 16 <= count { at += note(at, &news) }
        }
    }

    /// Takes the event that begins there; returns its length.
    private func note(_ at: Int, _ news: inout News) -> Int {
        func word(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(buffer[at + offset + $1]) << UInt32(8 * $1) }
        }
        let number = Int32(bitPattern: word(0))
        let mask = word(4)
        let length = Int(word(12))
        let name = buffer[(at + 16)..<(at + 16 + length)].prefix { $0 != 0 }
        if mask & UInt32(IN_IGNORED) != 0 {
            if let folder = folders.removeValue(forKey: number) { watched.remove(folder) }
            news.hasOther = true
        } else if mask & UInt32(IN_MODIFY) != 0, let folder = folders[number] {
            let start = folder == "." ? "" : folder == "/" ? "/" : folder + "/"
            news.written.insert(start + String(decoding: name, as: UTF8.self))
        } else {
            news.hasOther = true
        }
        return 16 + length
    }
}
