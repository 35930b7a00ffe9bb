internal import Connecting
internal import Queueing

/// Reads `retry`: a duration, a list of them, a mapping, or a Lua file.
enum RetryReader {
    /// By how much each wait grows when nothing is said.
    static let usualFactor = 2.0

    static func read(
        _ reader: inout SettingReader
    ) -> (policy: RetryPolicy, script: FileReference?) {
        guard let setting = reader.setting("retry") else { return (RetryPolicy(), nil) }
        switch setting.content {
        case .scalar(let text, _) where text.hasSuffix(".lua"):
            return (RetryPolicy(), FileReference(path: text, location: setting.location))
        case .scalar, .sequence: return (waits(setting, &reader), nil)
        default: return mapping(setting, &reader)
        }
    }

    /// `10s` is always that; `[1s, 10s, 1m]` one after the other. Who writes them means them, so
    /// chance does not move them.
    private static func waits(_ setting: Setting, _ reader: inout SettingReader) -> RetryPolicy {
        var policy = RetryPolicy()
        policy.jitter = 0
        var items = [setting]
        if case .sequence(let list) = setting.content { items = list }
        let waits = items.compactMap { item -> Int64? in
            guard case .scalar(let text, _) = item.content, let wait = parseDuration(text),
                wait >= 0, wait % 1_000_000 == 0
            else { return nil }
            return wait / 1_000_000
        }
        guard !waits.isEmpty, waits.count == items.count else {
            reader.report(
                "retry",
                "\"retry\" must be a duration such as 30s, a list such as [1s, 10s, 1m], a "
                    + "mapping such as {base: 1s, factor: 2, cap: 1h}, or a Lua file")
            return policy
        }
        policy.shape = .list(waits)
        policy.cap = max(policy.cap, waits.max() ?? 0)
        return policy
    }

    private static func mapping(
        _ setting: Setting, _ reader: inout SettingReader
    ) -> (policy: RetryPolicy, script: FileReference?) {
        var policy = RetryPolicy()
        var inner = SettingReader(setting, .retry)
        policy.base = inner.milliseconds("base") ?? policy.base
        policy.cap = inner.milliseconds("cap") ?? max(policy.cap, policy.base)
        let factor = inner.number("factor") ?? usualFactor
        policy.jitter = inner.number("jitter") ?? policy.jitter
        switch inner.choice("shape") {
        case "linear": policy.shape = .linear
        case "fixed": policy.shape = .fixed
        default: policy.shape = .exponential(factor: factor)
        }
        if let waits = inner.strings("waits") {
            let list = waits.compactMap(parseDuration)
            if list.count < waits.count || list.contains(where: { $0 < 1_000_000 }) {
                inner.report("waits", "\"waits\" must be a list of durations, such as [1s, 10s]")
            }
            policy.shape = .list(list.map { $0 / 1_000_000 })
            policy.cap = max(policy.cap, list.max().map { $0 / 1_000_000 } ?? 0)
        }
        let script = inner.string("rule").map {
            FileReference(path: $0, location: inner.location(of: "rule"))
        }
        for finding in inner.finish() { reader.add(finding) }
        return (policy, script)
    }
}

extension QueueDefinition {
    /// What happens where the function in Lua fails, in words.
    package var retryFallback: String {
        "\(settings.retry.base) ms, doubled each time, \(settings.retry.cap) ms at most"
    }
}
