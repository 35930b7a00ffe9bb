public import Records

extension StateChange {
    /// A value under a key of a stage, as `state:set` would store it.
    public init(stage: String, partition: Int = 0, key: String, storing value: Value) {
        self.init(
            kind: .value, stage: stage, partition: partition, key: Array(key.utf8),
            value: Self.encode(value), expiry: Int64.max)
    }

    /// The bytes that the store keeps: a letter for the type, then the value.
    private static func encode(_ value: Value) -> [UInt8] {
        switch value {
        case .integer(let number): [0x69] + bytes(UInt64(bitPattern: number))
        case .number(let number): [0x64] + bytes(number.bitPattern)
        case .string(let text): [0x73] + Array(text.utf8)
        default: [0x6A] + value.json
        }
    }

    private static func bytes(_ bits: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) }
    }

    /// What a rule would read from the entry; nil when it is gone or no value.
    public var storedValue: Value? {
        guard kind == .value, let value, let tag = value.first else { return nil }
        let payload = value.dropFirst()
        var bits: UInt64 = 0
        for (index, byte) in payload.prefix(8).enumerated() { bits |= UInt64(byte) << (index * 8) }
        switch tag {
        case 0x69: return .integer(Int64(bitPattern: bits))
        case 0x64: return .number(Double(bitPattern: bits))
        case 0x73: return .string(String(decoding: payload, as: UTF8.self))
        default:
            var reader = JSONReader(Array(payload))
            return try? reader.readDocument()
        }
    }
}
