internal import CScripting

/// Looks at what `RuleVM.encodeStateChanges` has written without decoding it.
public enum EncodedStateChange {
    /// Calls with each change in order: all of its bytes, where among them the names of stage and
    /// key stand, one behind the other, and whether the entry is gone. Stops where the bytes are no
    /// change.
    public static func forEach(
        in bytes: RawSpan, _ body: (_ change: RawSpan, _ name: Range<Int>, _ isGone: Bool) -> Void
    ) {
        let headerSize = 24
        var offset = 0
        while offset < bytes.byteCount {
            let rest = bytes.extracting(offset..<bytes.byteCount)
            var size = 0
            var nameSize = 0
            var isGone = false
            unsafe rest.withUnsafeBytes { raw in
                guard
                    let start = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self)
                else { return }
                size = unsafe tw_state_change_size(start, raw.count)
                guard size > 0 else { return }
                nameSize = unsafe tw_state_change_key(start)
                isGone = unsafe tw_state_change_is_gone(start)
            }
            guard size > 0 else { return }
            body(rest.extracting(0..<size), headerSize..<(headerSize + nameSize), isGone)
            offset += size
        }
    }
}
