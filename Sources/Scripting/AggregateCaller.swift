internal import CScripting

/// Calls the functions of aggregates in Lua; only on the thread of its VM, and while that lives.
@safe
public struct AggregateCaller {
    /// What an aggregate can do.
    public enum Operation: Int32, Sendable {
        /// `init()`
        case create = 0
        /// `add(accumulator, record)`
        case add = 1
        /// `merge(left, right)`
        case merge = 2
        /// `retract(accumulator, record)`
        case retract = 3
        /// `result(accumulator, window)`
        case result = 4
    }

    private let vm: OpaquePointer
    private let output = OutputBuffer()

    init(_ vm: OpaquePointer) { unsafe self.vm = vm }

    /// Whether the file has this function.
    public func has(_ operation: Operation, index: Int) -> Bool {
        unsafe tw_vm_user_aggregate_has(vm, Int32(index), operation.rawValue)
    }

    /// Calls `merge` with two accumulators.
    public func merge(
        index: Int, _ left: [UInt8], _ right: [UInt8]
    ) throws(RuleFailure) -> [UInt8] {
        try call(.merge, index, left, right)
    }

    /// Calls `add` with a record's JSON text.
    public func add(
        index: Int, _ accumulator: [UInt8], _ record: [UInt8]
    ) throws(RuleFailure) -> [UInt8] {
        try call(.add, index, accumulator, record)
    }

    /// Calls `retract` with a record's JSON text.
    public func retract(
        index: Int, _ accumulator: [UInt8], _ record: [UInt8]
    ) throws(RuleFailure) -> [UInt8] {
        try call(.retract, index, accumulator, record)
    }

    private func call(
        _ operation: Operation, _ index: Int, _ accumulator: [UInt8], _ second: [UInt8]
    ) throws(RuleFailure) -> [UInt8] {
        let outcome = unsafe second.withUnsafeBytes { bytes in
            Result { () throws(RuleFailure) in
                try unsafe call(operation, index: index, accumulator, bytes)
            }
        }
        return try outcome.get()
    }

    /// Calls it; accumulators are opaque bytes, `second` is the other one or a record's JSON text.
    public func call(
        _ operation: Operation, index: Int, _ accumulator: [UInt8] = [],
        _ second: UnsafeRawBufferPointer = unsafe UnsafeRawBufferPointer(start: nil, count: 0),
        start: Int64 = 0, end: Int64 = 0
    ) throws(RuleFailure) -> [UInt8] {
        output.removeAll()
        var failure = tw_failure()
        let succeeded = unsafe accumulator.withUnsafeBytes { bytes in
            unsafe tw_vm_user_aggregate(
                vm, Int32(index), operation.rawValue, bytes.baseAddress, bytes.count,
                second.baseAddress, second.count, start, end, output.buffer, &failure)
        }
        guard succeeded else { throw RuleFailure(failure) }
        return unsafe output.withUnsafeBytes { unsafe Array($0) }
    }
}

extension RuleFailure {
    init(_ raw: tw_failure) {
        var copy = raw
        message = unsafe withUnsafeBytes(of: &copy.message) { unsafe text($0) }
        file = unsafe withUnsafeBytes(of: &copy.file) { unsafe text($0) }
        line = Int(copy.line)
        isBreach = copy.is_breach
    }
}

/// The text in a C array of characters.
private func text(_ bytes: UnsafeRawBufferPointer) -> String {
    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
}
