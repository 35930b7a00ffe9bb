internal import Definitions
internal import Engine
internal import Records
internal import Trials

/// What a running pipeline shows to those who look, each on the thread that serves them.
struct LookingVerbs {
    let run: PipelineRun

    init(_ run: PipelineRun) { self.run = run }

    func add(to verbs: inout VerbTable) {
        let looking = self
        // There are eight taps at most, and a profile ends by itself: they may use the reserve.
        verbs.add(
            "tap",
            [
                "stage": .name, "point": .name, "where": .text(most: 1 << 20), "count": .count,
                "wait": .integer(1...86_400_000),
            ]
        ) { (call) throws(ControlFailure) in try looking.tap(call) }
        verbs.add(
            "top", ["interval": .pause, "count": .count, "marks": .flag],
            isLong: { ($0["count"] ?? 1) != 1 }
        ) { (call) throws(ControlFailure) in looking.top(call) }
        verbs.add(
            "profile", ["stage": .name, "milliseconds": .pause, "stacks": .flag]
        ) { (call) throws(ControlFailure) in try looking.profile(call) }
        verbs.add("explain", ["id": .name]) { (call) throws(ControlFailure) in
            try looking.explain(call)
        }
    }

    private func explain(_ call: ControlCall) throws(ControlFailure) {
        let id = try call.required("id")
        let lines = try ControlSocket.wrap { () throws(PipelineError) in try run.explain(id) }
        for line in lines { call.output.line(line) }
    }

    // MARK: tap

    /// Rows begin with `>`; a line of `=` tells how many there were.
    private func tap(_ call: ControlCall) throws(ControlFailure) {
        let limit = call.integer("count") ?? .max
        let stage = try call.required("stage")
        let point = tapPoint(call)
        let filter = try ControlSocket.wrap { () throws(PipelineError) in
            try call.text("where").map { text throws(PipelineError) in
                try RowFilter(text, stage: stage, of: run)
            }
        }
        let tap = try ControlSocket.wrap { () throws(PipelineError) in
            try run.beginTap(stage, point)
        }
        defer { run.endTap(tap) }
        var view = TapView(tap: tap, filter: filter, stage: point == .dead ? stage : nil)
        var isIdle = false
        var sinceTold = 0
        // Whoever cannot wait says how long.
        var patience = call.integer("wait") ?? .max
        while view.shown < limit, patience > 0, !tap.isFinished, !call.output.isGone {
            let row = tap.next(milliseconds: isIdle ? 100 : 0)
            if row == nil, isIdle { patience -= 100 }
            if let row, view.takes(row) { call.output.line([0x3E] + row) }
            isIdle = row == nil
            sinceTold += 1
            // Whoever stops looking wants to know how much there was until then.
            guard isIdle || sinceTold >= 500 else { continue }
            if view.hasChanged { call.output.line(view.line) }
            call.output.flush()
            sinceTold = 0
        }
        call.output.line(view.line)
    }

    private func tapPoint(_ call: ControlCall) -> TapPoint {
        switch call.text("point") {
        case "in": .input
        case "dead": .dead
        case nil, "out": .output(nil)
        case .some(let name): .output(name)
        }
    }

    // MARK: top and profile

    private func top(_ call: ControlCall) {
        let interval = call.integer("interval") ?? 1000
        var left = call.integer("count") ?? 1
        let activity = run.beginActivity()
        defer { activity.end() }
        while left > 0 {
            let isThere = run.pause(milliseconds: interval) { call.output.isGone }
            // A run that ends meanwhile is shown as it was.
            for line in activity.next() { call.output.line(line) }
            if call.flag("marks") { call.output.line(Record([Field("what", .string("end"))])) }
            call.output.flush()
            guard isThere, !call.output.isBroken else { return }
            left -= 1
        }
    }

    private func profile(_ call: ControlCall) throws(ControlFailure) {
        let stage = try call.required("stage")
        let profiling = try ControlSocket.wrap { () throws(PipelineError) in
            try run.beginProfile(stage)
        }
        defer { profiling.end() }
        _ = run.pause(milliseconds: call.integer("milliseconds") ?? 10_000) { call.output.isGone }
        for line in profiling.result.records(withStacks: call.flag("stacks")) {
            call.output.line(line)
        }
    }
}

/// What of a tap one looker is shown.
private struct TapView {
    let tap: Tap
    let filter: RowFilter?
    /// The stage whose dead letters are meant.
    let stage: String?
    private(set) var shown = 0
    private var others = 0
    private var told = 0

    init(tap: Tap, filter: RowFilter?, stage: String?) {
        self.tap = tap
        self.filter = filter
        self.stage = stage
    }

    /// True when the row is to be shown.
    mutating func takes(_ row: [UInt8]) -> Bool {
        if let stage {
            guard (try? Record(json: row))?["stage"]?.text == stage else {
                others += 1
                return false
            }
        }
        guard filter?.matches(row) ?? true else { return false }
        shown += 1
        return true
    }

    var hasChanged: Bool { tap.progress.seen != told }

    /// How many rows there were so far.
    var line: [UInt8] {
        mutating get {
            let (seen, taken) = tap.progress
            told = seen
            var fields = [
                Field("saw", .integer(Int64(seen - others))),
                Field("looked_at", .integer(Int64(taken - others))),
                Field("showed", .integer(Int64(shown))),
            ]
            if let filter, filter.failures > 0 {
                fields.append(Field("failed", .integer(Int64(filter.failures))))
                fields.append(Field("problem", .string(filter.problem ?? "")))
            }
            return [0x3D] + Record(fields).json
        }
    }
}
