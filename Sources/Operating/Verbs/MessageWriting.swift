internal import Queueing
internal import Records

/// Messages and queues as JSON lines.
enum MessageWriting {
    /// A message as it was received, or with its state as it was looked at; `isEncoded` for whoever
    /// needs its very bytes.
    static func line(
        _ message: Message, withState: Bool, isEncoded: Bool = false
    ) -> [UInt8] {
        var line: [UInt8] = Array("{\"id\":".utf8)
        line.appendJSONString(message.id)
        line += ",\"queue\":".utf8
        line.appendJSONString(message.queue)
        if !isEncoded, isJSONLine(message.payload) {
            line += ",\"payload\":".utf8
            line += message.payload
        } else {
            line += ",\"payload_base64\":\"".utf8
            line += base64(message.payload)
            line += "\"".utf8
        }
        var rest: [Field] = [
            Field("headers", .object(message.headers.map { Field($0.name, .string($0.value)) })),
            Field("correlation", message.correlation.map { .string($0) } ?? .null),
            Field("priority", .integer(Int64(message.priority))),
            Field("attempt", .integer(Int64(message.attempt))),
        ]
        if let key = message.orderingKey { rest.append(Field("key", .string(key))) }
        if withState { rest.append(Field("state", .string(message.state.name))) }
        if let receipt = message.receipt {
            rest.append(Field("receipt", .string(receipt.description)))
        }
        rest.append(Field("published_at", time(message.publishedAt / 1000)))
        if let until = message.until {
            let name = message.state == .leased ? "leased_until" : "due_at"
            rest.append(Field(name, time(until)))
        }
        if let history = message.history { rest += fields(history) }
        line.append(0x2C)
        line += Record(rest).json.dropFirst()
        return line
    }

    private static func time(_ milliseconds: Int64) -> Value {
        .string(TimeText.text(milliseconds: milliseconds))
    }

    private static func fields(_ history: MessageHistory) -> [Field] {
        var fields: [Field] = []
        if let reason = history.reason { fields.append(Field("reason", .string(reason))) }
        if let source = history.sourceQueue {
            fields.append(Field("source_queue", .string(source)))
        }
        if let dead = history.deadAt { fields.append(Field("dead_at", time(dead))) }
        if history.redrives > 0 {
            fields.append(Field("redrives", .integer(Int64(history.redrives))))
        }
        let attempts = history.attempts.map { attempt -> Value in
            var fields = [
                Field("n", .integer(Int64(attempt.number))),
                Field("reason", .string(attempt.reason)), Field("error", .string(attempt.error)),
                Field("started_at", time(attempt.startedAt)),
                Field("ended_at", time(attempt.endedAt)),
            ]
            if let trace = attempt.traceback { fields.append(Field("traceback", .string(trace))) }
            if let rules = attempt.ruleSet { fields.append(Field("rule_set", .string(rules))) }
            return .object(fields)
        }
        fields.append(Field("attempts", .array(attempts)))
        return fields
    }

    static func record(_ status: QueueStatus) -> Record {
        func count(_ name: String, _ number: Int) -> Field { Field(name, .integer(Int64(number))) }
        let totals = status.totals
        return Record([
            Field("queue", .string(status.name)), count("ready", status.counts.ready),
            count("scheduled", status.counts.scheduled), count("leased", status.counts.leased),
            count("retrying", status.counts.retrying), count("size", status.counts.size),
            Field("paused", .boolean(status.isConsumePaused)),
            Field("publish_paused", .boolean(status.isPublishPaused)),
            count("max_size", status.settings.maxSize),
            Field("durability", .string(status.settings.durability.name)),
            Field("since", time(totals.since)),
            count("published", totals.published), count("delivered", totals.delivered),
            count("redelivered", totals.redelivered), count("acknowledged", totals.acknowledged),
            count("failed", totals.failed), count("lease_expired", totals.leasesExpired),
            count("dead", totals.dead), count("deduplicated", totals.deduplicated),
            count("refused", totals.refused), count("stale_receipts", totals.stale),
            count("redriven", totals.redriven),
        ])
    }

    /// True when the bytes are one JSON value that fits on a line.
    static func isJSONLine(_ bytes: [UInt8]) -> Bool {
        guard !bytes.contains(0x0A), !bytes.contains(0x0D) else { return false }
        var reader = JSONReader(bytes)
        return (try? reader.readDocument()) != nil
    }

    static func base64(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(0) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            bits <<= 8
            for place in 0..<4 {
                text.append(place <= group.count ? digits[Int(bits >> 26)] : 0x3D)
                bits <<= 6
            }
        }
        return text
    }
}
