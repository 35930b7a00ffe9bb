extension JSONGenerator {
    /// The bytes of a text with one to three random edits: most results are malformed, some are
    /// still JSON, and some are not even UTF-8.
    public mutating func edited(_ text: String) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...3, using: &random) { edit(&bytes) }
        return bytes
    }

    private mutating func edit(_ bytes: inout [UInt8]) {
        let at = Int.random(in: 0...bytes.count, using: &random)
        let marks = Array("{}[]\",:\\0123456789.eE+-tfnu/ \t\n".utf8)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes.insert(marks.randomElement(using: &random) ?? 0, at: at)
        case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
        case 2 where at < bytes.count: bytes[at] = marks.randomElement(using: &random) ?? 0
        case 3 where at < bytes.count: bytes.remove(at: at)
        case 4: bytes.removeLast(bytes.count - at)
        default:
            let end = Int.random(in: at...bytes.count, using: &random)
            bytes.insert(contentsOf: bytes[at..<min(end, at + 8)], at: at)
        }
    }
}
