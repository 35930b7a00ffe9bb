import Foundation

@testable import Windowing

/// The zones of this machine, and zones made for a test.
enum ZoneFiles {
    static func bytes(_ name: String) throws -> [UInt8] {
        let folder = ProcessInfo.processInfo.environment["TZDIR"] ?? "/usr/share/zoneinfo"
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    }

    static func zone(_ name: String) throws -> TimeZoneRules {
        try TimeZoneRules(name: name, tzif: bytes(name))
    }

    /// A zone of version 2 that has no transition but this rule.
    static func zone(rule: String) throws -> TimeZoneRules {
        try TimeZoneRules(name: rule, tzif: file(rule: rule))
    }

    static func file(rule: String, offset: Int32 = 0) -> [UInt8] {
        body(version: 0x32, width: 4, [], [offset]) + body(version: 0x32, width: 8, [], [offset])
            + Array("\n\(rule)\n".utf8)
    }

    /// A header and a data block; each transition changes to the next type.
    static func body(
        version: UInt8, width: Int, _ times: [Int64], _ offsets: [Int32], leaps: Int = 0
    ) -> [UInt8] {
        func big(_ value: Int64, _ width: Int) -> [UInt8] {
            (0..<width).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        var bytes = Array("TZif".utf8) + [version] + [UInt8](repeating: 0, count: 15)
        for count in [0, 0, leaps, times.count, offsets.count, 4] { bytes += big(Int64(count), 4) }
        for time in times { bytes += big(time, width) }
        for index in times.indices { bytes.append(UInt8(min(index + 1, offsets.count - 1))) }
        for offset in offsets { bytes += big(Int64(offset), 4) + [0, 0] }
        bytes += Array("XXX\0".utf8) + [UInt8](repeating: 0, count: leaps * (width + 4))
        return bytes
    }

    /// Milliseconds of `2026-11-23T15:00:00Z`.
    static func time(_ text: String) throws -> Int64 {
        let style = Date.ISO8601FormatStyle()
        return Int64(try Date(text, strategy: style).timeIntervalSince1970 * 1000)
    }
}
