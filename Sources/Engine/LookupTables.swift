package import Definitions
internal import Glibc
package import Scripting
internal import Synchronization
internal import Threads

/// The lookup tables in force; replaced as a whole, picked up by workers between batches.
package final class LookupTables: Sendable {
    private let tables: Locked<[String: Lookup]>
    private let changes = Atomic<Int>(0)
    private let files: [LookupFile]
    private let seen: [[Int]]
    private let ending = Channel<Void>(capacity: 1)

    /// Reads every table once; a table that cannot be read keeps the pipeline from starting.
    ///
    /// - Parameter given: tables that are taken as they are, and not read.
    package init(
        _ plan: Plan, replacing given: [String: Lookup] = [:]
    ) throws(PipelineError) {
        files = plan.definition.lookups.filter { given[$0.name] == nil }.map {
            LookupFile(definition: $0, folder: plan.definition.folder)
        }
        // Taken before reading, so that a change in between is noticed later.
        seen = files.map { $0.fingerprint }
        var tables = given
        for file in files { tables[file.definition.name] = try file.read() }
        self.tables = Locked(tables)
    }

    /// Grows with every change, so that looking for news costs one load.
    var version: Int { changes.load(ordering: .acquiring) }

    /// All tables by name.
    package var current: [String: Lookup] { tables.withLock { $0 } }

    /// Ends `refresh` at once.
    func end() { ending.close() }

    /// True once `end` was called.
    var isEnded: Bool { ending.isFinished }

    /// Looks at the files now and then until `isStopped` or `end`; a bad file keeps the old table.
    func refresh(isStopped: () -> Bool, warn: (String) -> Void) {
        var seen = seen
        var due = files.map { monotonicNanoseconds() + UInt64($0.definition.refreshNanoseconds) }
        while !isStopped() && !ending.isFinished {
            _ = ending.receive(milliseconds: 20)
            for index in files.indices where monotonicNanoseconds() >= due[index] {
                let file = files[index]
                due[index] = monotonicNanoseconds() + UInt64(file.definition.refreshNanoseconds)
                let print = file.fingerprint
                guard print != seen[index] else { continue }
                do {
                    let table = try file.read()
                    tables.withLock { $0[file.definition.name] = table }
                    changes.add(1, ordering: .releasing)
                    seen[index] = print
                } catch {
                    warn("lookup \"\(file.definition.name)\" keeps its old rows: \(error)")
                    seen[index] = print
                }
            }
        }
    }

}

extension LookupFile {
    /// What changes when the file is written or replaced; empty when there is none.
    fileprivate var fingerprint: [Int] {
        var status = stat()
        let path = resolve(definition.path, in: folder)
        guard unsafe stat(path, &status) == 0 else { return [] }
        return [
            Int(status.st_ino), Int(status.st_size), Int(status.st_mtim.tv_sec),
            Int(status.st_mtim.tv_nsec),
        ]
    }
}
