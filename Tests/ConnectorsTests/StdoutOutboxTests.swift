import Connecting
import Glibc
import Testing

@testable import Connectors

/// Rows to standard output from the outbox, written to a socket that keeps each write apart.
@Suite struct StdoutOutboxTests {
    /// What each write of `rows` brought.
    private func writes(_ rows: [String], keyField: String?, first: UInt64) throws -> [String] {
        var ends: [Int32] = [0, 0]
        // Every read gives what one write has put in.
        let kind = Int32(SOCK_SEQPACKET.rawValue)
        try #require(unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0)
        defer { for end in ends where end >= 0 { close(end) } }
        let sink = StdoutOutbox(keyField: keyField, descriptor: ends[1])
        let bytes = Array(rows.map { $0 + "\n" }.joined().utf8)
        try unsafe bytes.withUnsafeBytes {
            try unsafe sink.deliver(
                $0, count: rows.count,
                first: RowKey(pipeline: "p\"q", sink: "a.late", number: first))
        }
        close(ends[1])
        ends[1] = -1
        var packets: [String] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe read(ends[0], &buffer, buffer.count)
            if count <= 0 { return packets }
            packets.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
    }

    @Test func `the key is the first member of each row, whatever the row looks like`() throws {
        let rows = ["{}", "{ \t}", " {\"a\":1}\r", "{ \"b\" : [{}]}", "{\"c\":\"}\"}"]
        let written = try writes(rows, keyField: "k", first: 8)
        #expect(
            written.joined()
                == #"""
                {"k":"p\"q/a.late/8"}
                {"k":"p\"q/a.late/9" 	}
                 {"k":"p\"q/a.late/10","a":1}\#u{0D}
                {"k":"p\"q/a.late/11", "b" : [{}]}
                {"k":"p\"q/a.late/12","c":"}"}

                """#)
    }

    @Test func `without a field for the key rows are what they are`() throws {
        let rows = ["{}", " {\"a\":1.10}", "{\"b\":\"\\u0041\"}"]
        #expect(try writes(rows, keyField: nil, first: 1) == [rows.joined(separator: "\n") + "\n"])
    }

    @Test func `a row of up to 4 KiB is written whole, a longer one comes whole as well`() throws {
        let sizes = [10, 4000, 90, 4095, 4096, 3, 9000, 7, 2000, 2000, 93, 1]
        let rows = sizes.map { "{" + String(repeating: "x", count: max(0, $0 - 3)) + "}" }
        let packets = try writes(rows, keyField: nil, first: 1)
        #expect(packets.joined() == rows.map { $0 + "\n" }.joined())
        #expect(packets.allSatisfy { $0.hasSuffix("\n") }, "no write ends within a row")
        #expect(packets.allSatisfy { $0.utf8.count <= 4096 || !$0.dropLast().contains("\n") })
        #expect(packets.count < rows.count, "short rows share a write")
    }
}
