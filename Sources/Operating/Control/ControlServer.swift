internal import Glibc
internal import Records
internal import Synchronization
internal import Threads

/// How many callers a socket serves, and how long it bears with them.
package struct ControlLimits: Sendable {
    /// Calls that wait, such as `receive --wait`, at a time.
    package var long = 256
    /// Places that only calls which do not wait may take.
    package var reserve = 32
    /// Connections that have not asked anything yet.
    package var silent = 256
    /// After so long without a request a connection is closed.
    package var requestMilliseconds = 30_000
    /// After so long without reading anything a caller is given up.
    package var writeMilliseconds = 10_000

    /// The usual bounds.
    package init() {}
}

/// Serves verbs to other processes over `control.sock` in the store's directory; only the user who
/// runs it can connect.
///
/// One thread listens to all who have not asked yet, so that they cost a descriptor and nothing
/// else. A whole request gets a thread of its own.
package final class ControlServer: Sendable {
    /// The name of the socket.
    package static let socketName = "control.sock"

    private struct Places: Sendable {
        var all = 0
        var long = 0
    }

    private let descriptor: Int32
    private let directory: String
    private let verbs: VerbTable
    private let limits: ControlLimits
    private let places = Locked(Places())
    private let isStopping = Atomic<Bool>(false)

    /// Begins to serve. Only the owner of the store may: a socket that is there was left behind by
    /// a process that is gone. Throws when the socket cannot be made.
    package init(
        directory: String, verbs: VerbTable, limits: ControlLimits = ControlLimits()
    ) throws(ControlFailure) {
        let path = directory + "/" + Self.socketName
        unsafe unlink(path)
        guard let socket = UnixSocket(Self.socketName, in: directory), socket.listens() else {
            let reason = unsafe String(cString: strerror(errno))
            throw ControlFailure(1, "\(path): the socket cannot be made: \(reason)")
        }
        descriptor = socket.descriptor
        self.directory = directory
        self.verbs = verbs
        self.limits = limits
        let hasStarted = startThread { [self] in
            var desk = ControlDesk(descriptor, limits) { self.dispatch($0, $1) }
            while !isStopping.load(ordering: .relaxed), desk.step() {}
            desk.close()
        }
        guard hasStarted else {
            throw ControlFailure(1, "\(path): the system gives no thread to serve it")
        }
    }

    /// Takes the socket away; calls that are under way go on to their end.
    package func stop() {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        unsafe unlink(directory + "/" + Self.socketName)
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    // MARK: Requests

    /// Serves a caller who has sent a line, on a thread of its own. The descriptor is ours now.
    private func dispatch(_ caller: Int32, _ bytes: [UInt8]) {
        bound(caller)
        let output = ControlOutput(descriptor: caller, isFramed: true)
        guard let call = call(caller, bytes, output) else {
            output.end(ControlFailure(2, "the request is not one line of JSON"))
            close(caller)
            return
        }
        let isLong = verbs.isLong(call)
        if let refusal = take(isLong) {
            output.end(refusal)
            close(caller)
            return
        }
        let box = CallBox(call)
        let hasStarted = startThread { [self] in
            serve(box.call)
            close(caller)
            free(isLong)
        }
        if hasStarted { return }
        free(isLong)
        output.end(
            ControlFailure(
                1,
                "the process that has the store is busy: the system gives it no more "
                    + "threads; try again"))
        close(caller)
    }

    /// Whoever does not read for a while holds up nobody but the thread that serves it, and not
    /// that for long.
    private func bound(_ caller: Int32) {
        var time = timeval(
            tv_sec: limits.writeMilliseconds / 1000,
            tv_usec: limits.writeMilliseconds % 1000 * 1000)
        unsafe setsockopt(
            caller, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    private func call(
        _ caller: Int32, _ bytes: [UInt8], _ output: ControlOutput
    ) -> ControlCall? {
        guard let end = bytes.firstIndex(of: 0x0A),
            let request = try? Record(json: Array(bytes[..<end])),
            case .string(let verb)? = request["verb"],
            case .object(let arguments)? = request["arguments"]
        else { return nil }
        let rest = Array(bytes[(end + 1)...])
        let call = ControlCall(
            verb: verb, arguments: Record(arguments),
            input: ControlInput(descriptor: caller, rest: rest), output: output)
        call.caller = UnixSocket.user(of: caller)
        return call
    }

    private func serve(_ call: ControlCall) {
        do throws(ControlFailure) {
            try verbs.run(call)
            call.output.end(nil)
        } catch {
            call.output.end(error)
        }
    }

    /// Takes a place; why there is none.
    private func take(_ isLong: Bool) -> ControlFailure? {
        let (long, all) = (limits.long, limits.long + limits.reserve)
        let isFree = places.withLock { places in
            guard places.all < all, !isLong || places.long < long else { return false }
            places.all += 1
            places.long += isLong ? 1 : 0
            return true
        }
        guard !isFree else { return nil }
        return ControlFailure(
            1,
            "the process that has the store is busy: it serves \(isLong ? long : all) callers "
                + "already; end some of them, or try again")
    }

    private func free(_ isLong: Bool) {
        places.withLock { places in
            places.all -= 1
            places.long -= isLong ? 1 : 0
        }
    }
}

/// Hands a call to the thread that serves it, which alone uses it from then on.
private final class CallBox: @unchecked Sendable {  // Handed over once, before use.
    let call: ControlCall
    init(_ call: ControlCall) { self.call = call }
}
