/// Aggregates written in Lua, as windows see them: accumulators are bytes, so nothing is shared.
///
/// All of it runs on the thread that owns the stage. `index` is the place among the stage's
/// aggregates in Lua.
public protocol UserAggregates: AnyObject {
    /// A new accumulator.
    func create(_ index: Int) throws(UserAggregateError) -> [UInt8]
    /// The accumulator with one more record, given as JSON text.
    func add(
        _ index: Int, _ accumulator: [UInt8], _ record: UnsafeRawBufferPointer
    ) throws(UserAggregateError) -> [UInt8]
    /// Two accumulators as one.
    func merge(
        _ index: Int, _ left: [UInt8], _ right: [UInt8]
    ) throws(UserAggregateError) -> [UInt8]
    /// The accumulator without a record that was added before.
    func retract(
        _ index: Int, _ accumulator: [UInt8], _ record: UnsafeRawBufferPointer
    ) throws(UserAggregateError) -> [UInt8]
    /// The value for the row, as JSON text.
    func result(
        _ index: Int, _ accumulator: [UInt8], start: Int64, end: Int64
    ) throws(UserAggregateError) -> [UInt8]
    /// True when it has `merge`.
    func canMerge(_ index: Int) -> Bool
    /// True when it has `retract`.
    func canRetract(_ index: Int) -> Bool
}

/// Why an aggregate in Lua has failed.
public struct UserAggregateError: Error, Sendable, Hashable {
    /// The message, with file and line.
    public var message: String
    /// The rule file.
    public var file: String
    /// The line in it, or 0.
    public var line: Int
    /// It ran out of time or memory.
    public var isBreach = false

    /// Creates an error.
    public init(message: String, file: String = "", line: Int = 0) {
        self.message = message
        self.file = file
        self.line = line
    }
}
