internal import CScripting

extension RuleVM {
    /// From now on the VM counts how often each line runs, which slows every line down.
    public mutating func countLines() { unsafe tw_vm_count_lines(vm) }

    /// How often each line has run, by file.
    public var lineCounts: [String: [Int: Int]] {
        let box = LineBox()
        unsafe tw_vm_each_line(vm, noteLine, Unmanaged.passUnretained(box).toOpaque())
        return box.counts
    }
}

/// The lines of a script that can run, in order; none when it does not compile.
public func executableLines(of text: [UInt8]) -> [Int] {
    let box = LineBox()
    _ = unsafe withCharacters(text) { start, count in
        unsafe tw_lua_lines(
            "script", start, count, noteLine, Unmanaged.passUnretained(box).toOpaque())
    }
    return (box.counts["script"] ?? [:]).keys.sorted()
}

private final class LineBox {
    var counts: [String: [Int: Int]] = [:]
}

private let noteLine: tw_each_line = { context, file, line, count in
    guard let context = unsafe context, let file = unsafe file else { return }
    let box = unsafe Unmanaged<LineBox>.fromOpaque(context).takeUnretainedValue()
    unsafe box.counts[String(cString: file), default: [:]][Int(line)] = Int(count)
}
