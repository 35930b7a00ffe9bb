package import Journal
package import Queueing
internal import Records

/// Verbs about a store that is open.
package struct StoreVerbs<Place: Disk>: Sendable {
    private let store: Store<Place>
    private let disk: Place

    /// Verbs over a store on its disk.
    package init(_ store: Store<Place>, on disk: Place) {
        self.store = store
        self.disk = disk
    }

    /// Adds `store.backup`.
    package func add(to table: inout VerbTable) {
        table.add("store.backup", ["target": .name]) { (call) throws(ControlFailure) in
            let target = try call.required("target")
            do throws(QueueError) {
                let sequence = try store.backup(to: target, on: disk)
                call.output.line(
                    Record([
                        Field("store", .string(target)),
                        Field("last_transaction", .integer(Int64(sequence))),
                    ]))
            } catch { throw ControlFailure(error) }
        }
    }
}
