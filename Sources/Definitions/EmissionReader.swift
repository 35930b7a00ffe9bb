internal import Connecting
internal import Windowing

/// `emit`, `allowed_lateness` and `ttl` of an aggregate stage.
extension DefinitionReader {
    mutating func readEmission(
        _ reader: inout SettingReader, into stage: inout AggregateStage, _ window: WindowKind?
    ) {
        if let setting = reader.setting("emit") {
            if let emission = emission(setting, &reader) { stage.definition.emission = emission }
            if stage.definition.emission != .close {
                stage.revisionLocation = setting.location
            }
        }
        let lateness = reader.milliseconds("allowed_lateness") ?? 0
        stage.definition.allowedLateness = lateness
        if lateness > 0, stage.revisionLocation == nil {
            stage.revisionLocation = reader.location(of: "allowed_lateness")
        }
        switch window {
        case .rolling, .rollingRows:
            if reader.isPresent("emit") {
                reader.reportKey(
                    "emit", "a rolling window writes one row for each record; remove emit")
            }
        case .global:
            if stage.definition.emission == .close {
                let key = reader.isPresent("emit") ? "emit" : "window"
                reader.report(
                    key, "a global window never closes: say emit: update or emit: {every: 10s}")
            }
        default: break
        }
        if lateness > 0, let window, !window.closesByTime {
            reader.reportKey(
                "allowed_lateness", "only tumbling, hopping and session windows can be late")
        }
    }

    private mutating func emission(
        _ setting: Setting, _ reader: inout SettingReader
    ) -> Emission? {
        if case .mapping = setting.content {
            var inner = SettingReader(setting, .emit)
            let every = inner.milliseconds("every")
            findings += inner.finish()
            return every.map { .every($0) }
        }
        if case .scalar(let word, _) = setting.content {
            if word == "close" { return .close }
            if word == "update" { return .update }
        }
        reader.report("emit", "\"emit\" must be close, update or {every: 10s}")
        return nil
    }

    mutating func readTimeToLive(
        _ reader: inout SettingReader, into stage: inout AggregateStage, _ window: WindowKind?
    ) {
        let time = reader.milliseconds("ttl")
        stage.definition.timeToLive = time
        if window == .global, !reader.isPresent("ttl") {
            reader.report(
                "window",
                "a global window never ends: give ttl, after which a silent key is forgotten")
        }
        if let window, window.closesByTime, reader.isPresent("ttl") {
            reader.reportKey(
                "ttl", "\"ttl\" is for global, count and rolling windows; this one ends by itself")
        }
    }
}

extension WindowKind {
    /// True when the watermark alone ends a window.
    fileprivate var closesByTime: Bool {
        switch self {
        case .tumbling, .hopping, .session, .calendar: true
        case .count, .rolling, .rollingRows, .global: false
        }
    }
}
