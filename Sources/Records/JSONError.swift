/// Why a text is no JSON, and where.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// The byte at which it is, counted from 0.
    public var offset: Int
    /// Its line, counted from 1.
    public var line: Int
    /// Its column in characters (Unicode scalars), counted from 1.
    public var column: Int

    /// An error at a byte of `text`.
    init(_ message: String, at offset: Int, of text: [UInt8]) {
        self.message = message
        self.offset = offset
        line = 1
        column = 1
        for byte in text.prefix(offset) {
            if byte == 0x0A {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
    }

    /// The message with its byte, and with line and column where the text has several lines.
    public var description: String {
        let place = line > 1 ? " (line \(line), column \(column))" : ""
        return "malformed JSON: \(message) at byte \(offset)\(place)"
    }
}
