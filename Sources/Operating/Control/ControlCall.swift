internal import Glibc
package import Records

/// A verb that somebody asked for: its arguments, what comes in, and where answers go. It is served
/// by the process that has the store, whether that is the caller's own or another one.
package final class ControlCall {
    /// The verb, such as `queue.publish`.
    package let verb: String
    /// Its arguments.
    package let arguments: Record
    /// What the caller's standard input gives.
    package let input: ControlInput
    /// Lines for the caller's standard output.
    package let output: ControlOutput
    /// The user whose process asks; nil when it is this one.
    package internal(set) var caller: UInt32?

    /// A call of this process: standard input is its own, and so is the output when none is given.
    package convenience init(verb: String, arguments: Record, output: ControlOutput? = nil) {
        self.init(
            verb: verb, arguments: arguments, input: ControlInput(descriptor: 0),
            output: output ?? ControlOutput(descriptor: 1, isFramed: false))
    }

    init(verb: String, arguments: Record, input: ControlInput, output: ControlOutput) {
        self.verb = verb
        self.arguments = arguments
        self.input = input
        self.output = output
    }

    /// An argument that is a text.
    package func text(_ name: String) -> String? {
        if case .string(let text)? = arguments[name] { return text }
        return nil
    }

    /// An argument that must be there. Throws when it is not.
    package func required(_ name: String) throws(ControlFailure) -> String {
        guard let text = text(name) else {
            throw ControlFailure(2, "\(verb) needs the argument \"\(name)\"")
        }
        return text
    }

    /// An argument that is a whole number.
    package func integer(_ name: String) -> Int? {
        if case .integer(let number)? = arguments[name] { return Int(number) }
        return nil
    }

    /// An argument that is a number, written with or without a point.
    package func number(_ name: String) -> Double? {
        switch arguments[name] {
        case .number(let number)?: number
        case .integer(let number)?: Double(number)
        default: nil
        }
    }

    /// An argument that is true or absent.
    package func flag(_ name: String) -> Bool { arguments[name] == .boolean(true) }

    /// An argument that is a list of texts.
    package func texts(_ name: String) -> [String] {
        guard case .array(let items)? = arguments[name] else { return [] }
        return items.map(\.text)
    }
}

/// Why a verb failed: the exit status and one screen of text.
package struct ControlFailure: Error, Sendable, Hashable {
    /// 1 it failed, 2 it was wrong usage.
    package var exitCode: Int32
    /// Where, what, and what to do next; empty when it was said already.
    package var message: String

    /// Creates one.
    package init(_ exitCode: Int32, _ message: String) {
        self.exitCode = exitCode
        self.message = message
    }
}

/// Bytes that come in. One thread.
package final class ControlInput {
    private let descriptor: Int32
    private var rest: [UInt8]
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(descriptor: Int32, rest: [UInt8] = []) {
        self.descriptor = descriptor
        self.rest = rest
    }

    /// What is there, waiting for at least one byte; nil at the end.
    package func read() -> [UInt8]? {
        if !rest.isEmpty {
            defer { rest = [] }
            return rest
        }
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 { return Array(buffer[..<count]) }
            if count == 0 || errno != EINTR { return nil }
        }
    }
}

/// Lines that go out. One thread.
package final class ControlOutput {
    private let descriptor: Int32
    private let isFramed: Bool
    private let each: (([UInt8]) -> Void)?
    private var buffer: [UInt8] = []
    /// True when the reader is gone.
    package private(set) var isBroken = false
    /// How many lines there were.
    package private(set) var lineCount = 0

    /// Hands every line to a function.
    package init(_ each: @escaping ([UInt8]) -> Void) {
        descriptor = -1
        isFramed = false
        self.each = each
    }

    init(descriptor: Int32, isFramed: Bool) {
        self.descriptor = descriptor
        self.isFramed = isFramed
        each = nil
    }

    /// Tells whether the caller still waits; any thread, as long as the call is being served.
    var presence: CallerPresence {
        CallerPresence(descriptor: each == nil && isFramed ? descriptor : -1)
    }

    /// Adds a line, without its end.
    package func line(_ bytes: [UInt8]) {
        lineCount += 1
        if let each {
            each(bytes)
            return
        }
        if isFramed { buffer.append(0x3E) }
        buffer += bytes
        buffer.append(0x0A)
        if buffer.count > 1 << 16 { flush() }
    }

    /// Adds a JSON object as a line.
    package func line(_ record: Record) { line(record.json) }

    /// True when the reader is gone, also while there is nothing to write.
    package var isGone: Bool {
        guard isFramed, !isBroken else { return isBroken }
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        guard unsafe poll(&entry, 1, 0) > 0 else { return false }
        return entry.revents & Int16(POLLHUP | POLLERR) != 0
    }

    /// Hands everything to the reader.
    package func flush() {
        var done = 0
        while done < buffer.count, !isBroken {
            let count = unsafe buffer.withUnsafeBytes {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: $0[done...])
                // A caller that went away must not end the process that serves it.
                return isFramed
                    ? unsafe send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                    : unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if count >= 0 {
                done += count
            } else if errno != EINTR {
                // It is gone, or has not read anything for as long as the socket waits.
                isBroken = true
            }
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// The last line of a framed answer.
    func end(_ failure: ControlFailure?) {
        let end = Record([
            Field("exit", .integer(Int64(failure?.exitCode ?? 0))),
            Field("error", .string(failure?.message ?? "")),
        ])
        buffer.append(0x21)
        buffer += end.json
        buffer.append(0x0A)
        flush()
    }
}

/// Whether the other side of a connection is there. Any thread.
struct CallerPresence: Sendable {
    /// Of the connection; -1 for a call of this process, which always waits.
    let descriptor: Int32

    /// False once the caller has closed its side for good; one that has only sent all is there.
    var isThere: Bool {
        guard descriptor >= 0 else { return true }
        var poll = pollfd(fd: descriptor, events: 0, revents: 0)
        guard unsafe Glibc.poll(&poll, 1, 0) > 0 else { return true }
        return poll.revents & Int16(POLLHUP | POLLERR | POLLNVAL) == 0
    }
}
