/// What stands between two parts of a pipeline and keeps something of the rows that come in, such
/// as windows.
///
/// It is a pure value of its rows: it knows no clock, no thread and no Lua, so that the same rows
/// and times give the same output, whatever the size of the blocks. One thread owns it. Several
/// operators that each own a ``WindowSlot`` of the keys are given the same rows and times; their
/// rows, sorted by ``RowOrder``, are those that one with all keys would give.
public protocol Operator: AnyObject {
    /// Adds rows in the order of their source; before each, time advances to its watermark.
    func process(_ block: RowBlock, into output: inout WindowOutput)
    /// The watermark has risen to a time in milliseconds without rows.
    func advance(to watermark: Int64, into output: inout WindowOutput)
    /// The input has ended: what is held back is written.
    func finish(into output: inout WindowOutput)
    /// How far time has come, in milliseconds; `Int64.min` in the beginning.
    var watermark: Int64 { get }
    /// True when changes are recorded for `takeChanges`; set it before the first row.
    var tracksChanges: Bool { get set }
    /// Calls with each entry of its state that has changed since the last call; no value when it
    /// is gone. The bytes mean nothing to anybody else.
    func takeChanges(_ body: (_ key: [UInt8], _ value: [UInt8]?) -> Void)
    /// Puts an entry back that `takeChanges` gave, of this operator or of those of other slots;
    /// only before the first row. When all are back, everything goes on as if nothing had happened.
    func restore(key: [UInt8], value: [UInt8])
}

extension WindowOperator: Operator {}
