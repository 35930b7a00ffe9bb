import Glibc
internal import Threads

/// Times the rows of this very program, started as a child between two pipes.
struct LiveBench {
    let folder: String
    let workers: Int

    /// Milliseconds from starting the process to its first row, of each of so many starts.
    func firstRows(times: Int) throws -> [Double] {
        try (0..<times).map { _ in
            let start = monotonicNanoseconds()
            let child = try PipedChild([
                "run", folder, "--workers", "\(workers)", "--log-level", "error",
            ])
            child.write(Self.record(start))
            var end = start
            child.eachRow { _ in
                if end == start { end = monotonicNanoseconds() }
                child.closeInput()
            }
            guard child.wait() == 0, end > start else { throw Self.failure }
            return Double(end - start) / 1e6
        }
    }

    /// Milliseconds from writing each record to reading its row, at `rate` records per second.
    func latencies(rate: Int, seconds: Int) throws -> [Double] {
        let child = try PipedChild([
            "run", folder, "--workers", "\(workers)", "--log-level", "error",
        ])
        startThread {
            let start = monotonicNanoseconds()
            for index in 0..<UInt64(rate * seconds) {
                let due = start + index * 1_000_000_000 / UInt64(rate)
                let now = monotonicNanoseconds()
                if due > now { usleep(UInt32((due - now) / 1000)) }
                child.write(Self.record(monotonicNanoseconds()))
            }
            child.closeInput()
        }
        var latencies: [Double] = []
        child.eachRow { row in
            guard let written = Self.timeWritten(in: row) else { return }
            latencies.append(Double(monotonicNanoseconds() - written) / 1e6)
        }
        guard child.wait() == 0, latencies.count == rate * seconds else { throw Self.failure }
        return latencies
    }

    private static let failure = CommandFailure(
        exitCode: 1, text: "error: the measured run did not give back every record")

    private static func record(_ now: UInt64) -> [UInt8] {
        Array(
            ("{\"t\":\(now),\"video_id\":\"vid_1\",\"user_id\":\"user_17\",\"processing_time\":2.5,"
                + "\"status\":\"completed\",\"meta\":{\"source\":\"api\",\"attempt\":1}}\n").utf8)
    }

    /// The number behind `{"t":`.
    private static func timeWritten(in row: ArraySlice<UInt8>) -> UInt64? {
        let digits = row.dropFirst(5).prefix { (0x30...0x39).contains($0) }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }
}

/// The value below which this share of the sorted values lies.
func quantile(_ share: Double, of sorted: [Double]) -> Double {
    guard !sorted.isEmpty else { return 0 }
    let value = sorted[Int(Double(sorted.count - 1) * share)]
    return (value * 1000).rounded() / 1000
}

/// This program as a child; one thread may write to it while another reads.
struct PipedChild: Sendable {
    private let process: pid_t
    private let input: Int32
    private let output: Int32

    init(_ arguments: [String]) throws {
        var toChild: [Int32] = [0, 0]
        var fromChild: [Int32] = [0, 0]
        guard unsafe pipe(&toChild) == 0, unsafe pipe(&fromChild) == 0
        else { throw CommandFailure(exitCode: 1, text: "error: no pipe can be made") }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
        // Its input would never end if the child held the writing end, too.
        unsafe posix_spawn_file_actions_addclose(&actions, toChild[1])
        unsafe posix_spawn_file_actions_addclose(&actions, fromChild[0])
        let words = ["tidewheel"] + arguments
        var texts: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
        unsafe texts.append(nil)
        defer { unsafe texts.forEach { unsafe free($0) } }
        var started: pid_t = 0
        let code = unsafe posix_spawn(&started, "/proc/self/exe", &actions, nil, &texts, environ)
        close(toChild[0])
        close(fromChild[1])
        guard code == 0 else {
            throw CommandFailure(exitCode: 1, text: "error: the program cannot start itself")
        }
        process = started
        input = toChild[1]
        output = fromChild[0]
    }

    func write(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(input, $0.baseAddress, $0.count) }
    }

    func closeInput() { close(input) }

    /// Calls `body` with each row as soon as it is there, until the child closes its output.
    func eachRow(_ body: (ArraySlice<UInt8>) -> Void) {
        var pending: [UInt8] = []
        var space = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe read(output, &space, space.count)
            guard count > 0 else { return }
            pending += space[..<count]
            var rows = pending[...]
            while let end = rows.firstIndex(of: 0x0A) {
                body(rows[..<end])
                rows = rows[(end + 1)...]
            }
            pending = Array(rows)
        }
    }

    /// The child's exit code; -1 when a signal ended it.
    func wait() -> Int32 {
        close(output)
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
        return status & 0x7F == 0 ? status >> 8 & 0xFF : -1
    }
}
