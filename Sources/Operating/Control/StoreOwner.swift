internal import Glibc

/// The process that has a store just now.
package struct StoreOwner {
    /// Its number.
    package let process: Int

    /// Nil when nobody has it, or the system does not say. Looks without taking the lock, which
    /// another process may be about to ask for.
    package init?(of data: String) {
        var status = stat()
        guard unsafe stat(data + "/LOCK", &status) == 0,
            let text = readWholeFile("/proc/locks")
        else { return nil }
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            // 1: FLOCK  ADVISORY  WRITE 1234 00:2f:5678 0 EOF
            let words = line.split(separator: " ")
            guard words.count >= 6, words[1] == "FLOCK", let process = Int(words[4]),
                words[5].split(separator: ":").last == "\(status.st_ino)"
            else { continue }
            self.process = process
            return
        }
        return nil
    }
}
