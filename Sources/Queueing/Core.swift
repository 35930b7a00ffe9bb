internal import Glibc
internal import Journal

/// The queues and the transaction under way, under one lock. The transaction holds the queues while
/// the lock is taken, so that they are changed in place.
@safe
final class Core: @unchecked Sendable {  // Everything is under `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    var transaction: Transaction
    /// True when the log holds entries that are not the queues'.
    var hasForeign: Bool
    /// Messages that have died and that nobody was told of.
    var deaths = DeathTally()
    /// True while a snapshot is being taken.
    var isTakingSnapshot = false

    init(queues: QueueSet, hasForeign: Bool, transaction: Transaction) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        self.transaction = transaction
        self.transaction.queues = queues
        self.hasForeign = hasForeign
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    func begin() { unsafe pthread_mutex_lock(mutex) }
    func end() { unsafe pthread_mutex_unlock(mutex) }
}

extension Transaction {
    /// The frame is in the log, or there was nothing to write: what was planned happens.
    mutating func happen(_ appended: AppendedFrame?) {
        for step in steps {
            if let entry = step.entry, let appended {
                queues.apply(
                    step.operation.resolved(
                        appended.position(of: entry), bodyOffset: appended.bodyOffset))
            } else {
                queues.apply(step.operation)
            }
        }
        for (offset, body) in newBodies { queues.volatileBodies[offset] = body }
        // What was counted stays.
        tallies.removeAll(keepingCapacity: true)
    }
}

extension Operation {
    /// Turns places inside the frame into places in the log. `own` is the entry's place.
    func resolved(_ own: LogPosition, bodyOffset: UInt32) -> Operation {
        switch self {
        case .record(var record):
            if record.position.length == 0 {
                record.position = own
            } else {
                let size = UInt32(Record.size)
                record.resolve(own, bodyOffset: bodyOffset, hasHistory: own.length > size)
            }
            return .record(record)
        case .moved(let numbers, _): return .moved(numbers, own)
        default: return self
        }
    }
}
