package import Scripting
internal import Windowing

extension TimeDefinition {
    /// The same as the VM wants it.
    package var ruleTime: RuleTime {
        var zone: [(from: Int64, offset: Int64)] = []
        if self.zone != .utc {
            let transitions = self.zone.transitions()
            zone = zip(transitions.times, transitions.offsets).map { ($0, $1) }
        }
        return RuleTime(
            field: field, format: ruleFormat, zone: zone,
            outOfOrderness: outOfOrdernessMilliseconds, maxFutureSkew: maxFutureSkewMilliseconds)
    }

    private var ruleFormat: RuleTime.Format {
        switch format {
        case .rfc3339: .rfc3339
        case .epochSeconds: .epochSeconds
        case .epochMilliseconds: .epochMilliseconds
        case .epochMicroseconds: .epochMicroseconds
        case .epochNanoseconds: .epochNanoseconds
        case .pattern(let text): .pattern(text)
        }
    }
}
