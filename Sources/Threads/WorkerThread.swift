internal import Glibc

/// A thread of our own, since blocking work does not belong on Swift's cooperative pool.
@safe
package struct WorkerThread: ~Copyable {
    private var thread = pthread_t()

    /// Starts a thread that runs `body`.
    package init(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        // Rules may nest deeply in C, so the stack is roomier than a thread's usual one.
        unsafe pthread_attr_setstacksize(&attributes, 16 << 20)
        let status = unsafe pthread_create(
            &thread, &attributes,
            { context in
                if let context = unsafe context {
                    let box = unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
                    box.run()
                }
                return nil
            }, unsafe box.toOpaque())
        unsafe pthread_attr_destroy(&attributes)
        precondition(status == 0, "the system gives no more threads")
    }

    /// Lets it go; its end is counted elsewhere.
    package consuming func detach() { pthread_detach(thread) }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
