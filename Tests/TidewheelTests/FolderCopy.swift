import Glibc
import TestKit

/// Copies the files of a folder and of the folders in it, as they are now.
func copyFolder(_ path: String, to target: String) {
    mkdir(target, 0o700)
    guard let directory = opendir(path) else { return }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard name != ".", name != "..", name != "LOCK" else { continue }
        var status = stat()
        guard lstat(path + "/" + name, &status) == 0 else { continue }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: copyFolder(path + "/" + name, to: target + "/" + name)
        case S_IFREG: copyFile(path + "/" + name, to: target + "/" + name)
        default: break
        }
    }
}

private func copyFile(_ path: String, to target: String) {
    let source = open(path, O_RDONLY)
    let copy = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer {
        close(source)
        close(copy)
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
        let count = read(source, &buffer, buffer.count)
        guard count > 0 else { return }
        _ = write(copy, buffer, count)
    }
}
