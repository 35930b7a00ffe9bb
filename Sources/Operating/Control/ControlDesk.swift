internal import Glibc
internal import Threads

/// Those who have connected and not asked yet. One thread.
///
/// However many they are, they never keep anybody from asking: when there are too many, the one
/// that has been silent for the longest has to go.
struct ControlDesk {
    private struct Caller {
        var descriptor: Int32
        var deadline: UInt64
        var bytes: [UInt8] = []
    }

    /// Of one request, and of all that have begun.
    private static let longest = 4 << 20
    private static let mostBytes = 64 << 20
    /// Connections that are taken at a time, so that a flood of them costs little.
    private static let step = 16

    private let listener: Int32
    private let limits: ControlLimits
    /// Takes a connection, and what it has sent: a whole line, and maybe more.
    private let dispatch: (Int32, [UInt8]) -> Void
    /// In the order in which they came.
    private var callers: [Caller] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(
        _ listener: Int32, _ limits: ControlLimits, _ dispatch: @escaping (Int32, [UInt8]) -> Void
    ) {
        self.listener = listener
        self.limits = limits
        self.dispatch = dispatch
        _ = fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK)
    }

    /// Waits for something to happen and sees to it; false when the socket is closed.
    mutating func step() -> Bool {
        var entries = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        entries += callers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        let now = monotonicNanoseconds()
        let next = callers.first.map { $0.deadline > now ? ($0.deadline - now) / 1_000_000 + 1 : 0 }
        let count = unsafe poll(
            &entries, nfds_t(entries.count), next.map { Int32(min($0, 60_000)) } ?? -1)
        if count < 0, errno != EINTR { return false }
        if count > 0 {
            readAll(entries.dropFirst())
            if entries[0].revents != 0, !accept() { return false }
        }
        dismissSilent()
        return true
    }

    mutating func close() {
        for caller in callers { Glibc.close(caller.descriptor) }
        callers = []
        Glibc.close(listener)
    }

    // MARK: Callers

    private mutating func readAll(_ entries: ArraySlice<pollfd>) {
        var left: [Caller] = []
        left.reserveCapacity(callers.count)
        for (var caller, entry) in zip(callers, entries) {
            if entry.revents == 0 || read(&caller) { left.append(caller) }
        }
        callers = left
        while callers.reduce(0, { $0 + $1.bytes.count }) > Self.mostBytes {
            let largest = callers.indices.max { callers[$0].bytes.count < callers[$1].bytes.count }
            dismiss(
                callers.remove(at: largest ?? 0),
                "the process that has the store is busy: too many long requests at once; try again")
        }
    }

    /// Takes what has come; false when the caller is gone, or has asked.
    private mutating func read(_ caller: inout Caller) -> Bool {
        let count = unsafe recv(
            caller.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count < 0, errno == EAGAIN || errno == EINTR { return true }
        guard count > 0 else {
            // Whoever ends without a whole line has nothing to be told.
            Glibc.close(caller.descriptor)
            return false
        }
        let isWhole = buffer[..<count].contains(0x0A)
        caller.bytes += buffer[..<count]
        if isWhole {
            dispatch(caller.descriptor, caller.bytes)
            return false
        }
        guard caller.bytes.count <= Self.longest else {
            dismiss(caller, "the request is longer than 4 MiB")
            return false
        }
        return true
    }

    /// Takes those who wait to be connected; false when the socket is closed.
    private mutating func accept() -> Bool {
        for _ in 0..<Self.step {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0 {
                switch errno {
                case EINTR, ECONNABORTED: continue
                case EAGAIN: return true
                case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                    // Out of descriptors: one of those who ask nothing gives its own.
                    if callers.isEmpty { pause(milliseconds: 20) } else { dismissOldest() }
                    return true
                default: return false
                }
            }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            if callers.count >= limits.silent { dismissOldest() }
            let wait = UInt64(limits.requestMilliseconds) * 1_000_000
            callers.append(
                Caller(descriptor: descriptor, deadline: monotonicNanoseconds() + wait))
        }
        // More of them than a person or a script makes: they may wait a little.
        pause(milliseconds: 5)
        return true
    }

    private mutating func dismissOldest() {
        dismiss(
            callers.removeFirst(),
            "the process that has the store is busy: too many connections without a request")
    }

    private mutating func dismissSilent() {
        let now = monotonicNanoseconds()
        while let first = callers.first, first.deadline <= now {
            let seconds = Double(limits.requestMilliseconds) / 1000
            dismiss(callers.removeFirst(), "no request came within \(seconds) s")
        }
    }

    private func dismiss(_ caller: Caller, _ reason: String) {
        // It fits into the empty buffer of the connection, so nothing waits here.
        ControlOutput(descriptor: caller.descriptor, isFramed: true).end(ControlFailure(1, reason))
        Glibc.close(caller.descriptor)
    }
}
