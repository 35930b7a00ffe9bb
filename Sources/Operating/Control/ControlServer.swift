internal import Glibc
internal import Records
internal import Synchronization
internal import Threads

/// Serves verbs to other processes over `control.sock` in the store's directory. One thread for
/// each caller, sixteen at most; only the user who runs it can connect.
package final class ControlServer: Sendable {
    /// The name of the socket.
    package static let socketName = "control.sock"
    private static let callerLimit = 16

    private let descriptor: Int32
    private let directory: String
    private let verbs: VerbTable
    private let callers = Atomic<Int>(0)
    private let isStopping = Atomic<Bool>(false)

    /// Begins to serve. Only the owner of the store may: a socket that is there was left behind by
    /// a process that is gone. Throws when the socket cannot be made.
    package init(directory: String, verbs: VerbTable) throws(ControlFailure) {
        let path = directory + "/" + Self.socketName
        unsafe unlink(path)
        guard let socket = UnixSocket(Self.socketName, in: directory), socket.listens() else {
            let reason = unsafe String(cString: strerror(errno))
            throw ControlFailure(1, "\(path): the socket cannot be made: \(reason)")
        }
        descriptor = socket.descriptor
        self.directory = directory
        self.verbs = verbs
        startThread { [self] in accept() }
    }

    /// Takes the socket away; calls that are under way go on to their end.
    package func stop() {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        unsafe unlink(directory + "/" + Self.socketName)
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private func accept() {
        while !isStopping.load(ordering: .relaxed) {
            let caller = Glibc.accept(descriptor, nil, nil)
            if caller < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                // Out of descriptors: others will be closed in a moment.
                if errno == EMFILE || errno == ENFILE {
                    pause(milliseconds: 20)
                    continue
                }
                break
            }
            guard callers.add(1, ordering: .relaxed).newValue <= Self.callerLimit else {
                callers.subtract(1, ordering: .relaxed)
                ControlOutput(descriptor: caller, isFramed: true)
                    .end(ControlFailure(1, "too many callers at once; try again"))
                close(caller)
                continue
            }
            startThread { [self] in
                serve(caller)
                close(caller)
                callers.subtract(1, ordering: .relaxed)
            }
        }
        close(descriptor)
    }

    private func serve(_ caller: Int32) {
        let output = ControlOutput(descriptor: caller, isFramed: true)
        guard let (head, rest) = readHead(caller),
            let request = try? Record(json: head), case .string(let verb)? = request["verb"],
            case .object(let arguments)? = request["arguments"]
        else {
            output.end(ControlFailure(2, "the request is not one line of JSON"))
            return
        }
        let call = ControlCall(
            verb: verb, arguments: Record(arguments),
            input: ControlInput(descriptor: caller, rest: rest), output: output)
        call.caller = UnixSocket.user(of: caller)
        do throws(ControlFailure) {
            try verbs.run(call)
            output.end(nil)
        } catch {
            output.end(error)
        }
    }

    /// The first line, and what came with it; nil when there is none of 4 MiB at most.
    private func readHead(_ caller: Int32) -> (head: [UInt8], rest: [UInt8])? {
        let input = ControlInput(descriptor: caller)
        var bytes: [UInt8] = []
        while bytes.count < 4 << 20, let more = input.read() {
            bytes += more
            if let first = bytes.firstIndex(of: 0x0A) {
                return (Array(bytes[..<first]), Array(bytes[(first + 1)...]))
            }
        }
        return nil
    }
}
