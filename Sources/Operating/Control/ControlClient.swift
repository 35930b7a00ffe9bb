internal import Glibc
package import Records
internal import Threads

/// Asks the process that has a store to do a verb.
package enum ControlClient {
    /// True when some process serves the store's socket.
    package static func isServed(_ directory: String) -> Bool {
        guard let socket = UnixSocket(ControlServer.socketName, in: directory) else { return false }
        defer { close(socket.descriptor) }
        return socket.connect() == .made
    }

    /// Has a verb done: its lines go to standard output as they come, and with `sendsInput` the
    /// standard input goes there. False when nobody serves the store. Throws what the verb throws,
    /// and when the other process goes away.
    package static func run(
        _ verb: String, _ arguments: Record, directory: String, sendsInput: Bool = false
    ) throws(ControlFailure) -> Bool {
        let output = ControlOutput(descriptor: 1, isFramed: false)
        return try run(verb, arguments, directory: directory, sendsInput: sendsInput) { line in
            output.line(line)
            output.flush()
            return !output.isBroken
        }
    }

    /// As above; lines go to `each`, which says whether there is anybody to read more of them.
    package static func run(
        _ verb: String, _ arguments: Record, directory: String, sendsInput: Bool = false,
        _ each: ([UInt8]) -> Bool
    ) throws(ControlFailure) -> Bool {
        guard let socket = UnixSocket(ControlServer.socketName, in: directory) else { return false }
        let descriptor = socket.descriptor
        defer { close(descriptor) }
        switch socket.connect() {
        case .made: break
        case .nobody: return false
        case .busy:
            throw ControlFailure(
                1,
                "the process that has the store \(directory) is busy and takes no more callers; "
                    + "try again, or end some of them")
        case .refused(let code):
            let reason = unsafe String(cString: strerror(code))
            throw ControlFailure(
                1,
                "\(directory)/\(ControlServer.socketName): \(reason); ask as the user who runs "
                    + "the pipeline")
        }
        let request = Record([
            Field("verb", .string(verb)), Field("arguments", .object(arguments.fields)),
        ])
        // Whoever refuses a caller may say so before it has read the request.
        let isSent = send(request.json + [0x0A], to: descriptor)
        if sendsInput, isSent {
            startThread { forwardInput(to: descriptor) }
        } else {
            shutdown(descriptor, Int32(SHUT_WR))
        }
        let input = ControlInput(descriptor: descriptor)
        var rest: [UInt8] = []
        while let bytes = input.read() {
            rest += bytes
            var start = 0
            while let end = rest[start...].firstIndex(of: 0x0A) {
                let mark = rest[start]
                let line = Array(rest[(start + 1)..<end])
                start = end + 1
                if mark == 0x21 {
                    try finish(line)
                    return true
                }
                if !each(line) { throw ControlFailure(1, "") }
            }
            rest.removeFirst(start)
        }
        throw lost
    }

    private static let lost = ControlFailure(
        1, "the process that has the store went away; what it did not answer may not have happened")

    private static func finish(_ line: [UInt8]) throws(ControlFailure) {
        guard let end = try? Record(json: line), case .integer(let code)? = end["exit"] else {
            throw lost
        }
        if code != 0 { throw ControlFailure(Int32(code), end["error"]?.text ?? "") }
    }

    private static func forwardInput(to descriptor: Int32) {
        let input = ControlInput(descriptor: 0)
        while let bytes = input.read() { if !send(bytes, to: descriptor) { return } }
        shutdown(descriptor, Int32(SHUT_WR))
    }

    private static func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: $0[done...])
                return unsafe Glibc.send(
                    descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            if count >= 0 {
                done += count
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}
