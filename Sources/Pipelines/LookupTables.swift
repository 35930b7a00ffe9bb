internal import Glibc
internal import Scripting
internal import Synchronization

/// The lookup tables in force; replaced as a whole, picked up by workers between batches.
final class LookupTables: Sendable {
    private let tables: Mutex<[String: Lookup]>
    private let changes = Atomic<Int>(0)
    private let files: [LookupFile]

    /// Reads every table once; a table that cannot be read keeps the pipeline from starting.
    init(_ plan: Plan) throws(PipelineError) {
        files = plan.definition.lookups.map {
            LookupFile(definition: $0, folder: plan.definition.folder)
        }
        var tables: [String: Lookup] = [:]
        for file in files { tables[file.definition.name] = try file.read() }
        self.tables = Mutex(tables)
    }

    /// Grows with every change, so that looking for news costs one load.
    var version: Int { changes.load(ordering: .acquiring) }

    /// All tables by name.
    var current: [String: Lookup] { tables.withLock { $0 } }

    /// Looks at the files now and then until `isStopped`; a bad file keeps the old table.
    func refresh(isStopped: () -> Bool, warn: (String) -> Void) {
        var seen = files.map { fingerprint(of: $0) }
        var due = files.map { now() + UInt64($0.definition.refreshNanoseconds) }
        while !isStopped() {
            usleep(20_000)
            for index in files.indices where now() >= due[index] {
                let file = files[index]
                due[index] = now() + UInt64(file.definition.refreshNanoseconds)
                let print = fingerprint(of: file)
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

    private func fingerprint(of file: LookupFile) -> [Int] {
        var status = stat()
        let path = resolve(file.definition.path, in: file.folder)
        guard unsafe stat(path, &status) == 0 else { return [] }
        return [
            Int(status.st_ino), Int(status.st_size), Int(status.st_mtim.tv_sec),
            Int(status.st_mtim.tv_nsec),
        ]
    }

    private func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
