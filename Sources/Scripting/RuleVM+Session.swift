internal import CScripting

/// What came of a text that a person typed.
public enum Evaluation: Sendable {
    /// It ran: a line `VALUE : TYPE` for each value, and the record if it is another one now.
    case done(values: [String], record: [UInt8]?)
    /// It goes on in the next line.
    case incomplete
    /// It failed.
    case failed(RuleFailure)
}

extension RuleVM {
    /// Runs a text in the environment of the session, within the budget of a stage; `r` is the
    /// record's JSON text. Globals stay until the VM goes.
    public mutating func evaluate(_ text: String, record: [UInt8]?, stage: Int) -> Evaluation {
        let values = OutputBuffer()
        let changed = OutputBuffer()
        var failure = tw_failure()
        let code = unsafe withCharacters(Array(text.utf8)) { start, count in
            unsafe withCharacters(record ?? []) { json, length in
                unsafe tw_vm_evaluate(
                    vm, Int32(stage), record == nil ? nil : json, length, start, count,
                    values.buffer, changed.buffer, &failure)
            }
        }
        if code == TW_INCOMPLETE { return .incomplete }
        if code == TW_FAILED { return .failed(RuleFailure(failure)) }
        let lines = unsafe values.withUnsafeBytes { unsafe Array($0) }
            .split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
        let now = changed.count == 0 ? nil : unsafe changed.withUnsafeBytes { unsafe Array($0) }
        return .done(values: lines, record: now)
    }

    /// From now on the values at each line are kept of every call.
    public mutating func keepTrace() { unsafe tw_vm_keep_trace(vm) }

    /// The values at each line of the last call.
    public var trace: [String] {
        let list = TraceList()
        unsafe tw_vm_each_trace(
            vm,
            { context, text, length in
                guard let context = unsafe context, let text = unsafe text else { return }
                let list = unsafe Unmanaged<TraceList>.fromOpaque(context).takeUnretainedValue()
                let bytes = unsafe UnsafeRawBufferPointer(start: text, count: length)
                unsafe list.lines.append(String(decoding: bytes, as: UTF8.self))
            }, Unmanaged.passUnretained(list).toOpaque())
        return list.lines
    }
}

private final class TraceList {
    var lines: [String] = []
}
