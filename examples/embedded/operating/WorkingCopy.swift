import Glibc

/// A copy of a pipeline folder in the folder for temporary files.
struct WorkingCopy {
    let path: String
    private static let files = ["pipeline.yaml", "rules/price.lua", "rules/price.test.yaml"]

    init(of folder: String) {
        var template = Array("\(P_tmpdir)/prices-XXXXXX".utf8CString)
        unsafe mkdtemp(&template)
        path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        unsafe mkdir(path + "/rules", 0o700)
        for file in Self.files { write(Self.text(folder + "/" + file), to: file) }
    }

    func write(_ text: String, to name: String) {
        guard let file = unsafe fopen(path + "/" + name, "w") else { return }
        unsafe fputs(text, file)
        unsafe fclose(file)
    }

    func text(_ name: String) -> String { Self.text(path + "/" + name) }

    private static func text(_ path: String) -> String {
        guard let file = unsafe fopen(path, "r") else { return "" }
        var text = ""
        while let line = unsafe readLine(of: file) { text += line }
        unsafe fclose(file)
        return text
    }

    private static func readLine(of file: UnsafeMutablePointer<FILE>) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        guard unsafe fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
