import ArgumentParser
internal import Connecting
import Connectors
internal import Definitions
internal import Engine
import Glibc
import Journal
internal import Operating
import Queueing
internal import Trials

/// `tidewheel bench`: what this machine does with generated events, and with a durable queue.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure this machine.")

    /// What can be measured.
    enum Subject: String, ExpressibleByArgument, CaseIterable { case pipeline, queue, journal }

    @Argument(help: "What to measure: pipeline, queue or journal.")
    var subject: Subject
    @Argument(help: "A pipeline folder; without it a transform of generated events.")
    var folder: String?
    @Option(help: "How many records, without a folder.")
    var records = 200_000
    @Option(help: "How many threads run rules.")
    var workers = 1
    @Flag(help: "With a folder: begin its output files anew.")
    var overwrite = false
    @Flag(help: "Instead: how soon the first row is out, and how long a record takes in a pipe.")
    var live = false
    @Option(help: "Records per second, with --live.")
    var rate = 10_000
    @Option(help: "For how many seconds, with --live, queue and journal.")
    var seconds: Double?
    @Option(help: "For queue and journal: disk, os-cache or memory.")
    var durability = "disk"
    @Option(help: "For queue and journal: messages per transaction.")
    var batch = 1
    @Option(help: "For queue and journal: the size of a message in bytes.")
    var size = 1024
    @Option(help: "For queue and journal: how many messages.")
    var messages: Int?
    @Option(help: "For queue and journal: where the store is made; it is removed at the end.")
    var data: String?
    @Option(help: "json: one line.")
    var format = AnswerFormat.json

    func run() throws {
        guard (1...100_000).contains(rate), (0.01...3600).contains(seconds ?? 5) else {
            throw ValidationError("--rate must be from 1 to 100000, --seconds from 0.01 to 3600")
        }
        if subject != .pipeline {
            try measureStore()
            return
        }
        guard records > 0 else { throw ValidationError("--records must be above zero") }
        if let folder {
            guard !live else {
                throw ValidationError("--live measures a pipeline of its own; leave the folder out")
            }
            try measure(folder)
            return
        }
        var template = Array("\(temporaryFolder())/tidewheel-bench-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw CommandFailure(exitCode: 1, text: "error: no temporary folder can be made")
        }
        let made = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for file in ["/pipeline.yaml", "/shape.lua", "/generate.lua"] {
                unsafe unlink(made + file)
            }
            unsafe rmdir(made)
        }
        let pipeline = live ? BenchFiles.livePipeline : BenchFiles.pipeline(records: records)
        try write(pipeline, to: made + "/pipeline.yaml")
        try write(BenchFiles.rule, to: made + "/shape.lua")
        try write(BenchFiles.generator, to: made + "/generate.lua")
        if live { try measureLive(made) } else { try measure(made) }
    }

    private func measureLive(_ folder: String) throws {
        signal(SIGPIPE, SIG_IGN)
        let bench = LiveBench(folder: folder, workers: workers)
        let first = try bench.firstRows(times: 21).sorted()
        let latencies = try bench.latencies(rate: rate, seconds: Int(seconds ?? 5)).sorted()
        print(
            "{\"first_row_ms\":{\"median\":\(quantile(0.5, of: first)),"
                + "\"max\":\(quantile(1, of: first))},"
                + "\"latency_ms\":{\"p50\":\(quantile(0.5, of: latencies)),"
                + "\"p99\":\(quantile(0.99, of: latencies)),"
                + "\"max\":\(quantile(1, of: latencies))},"
                + "\"rate\":\(rate),\"records\":\(latencies.count),\"workers\":\(workers)}")
    }

    private func measure(_ folder: String) throws {
        var options = RunOptions()
        options.once = true
        options.trial = FolderTrial()
        options.workers = workers
        options.overwrites = overwrite
        let run: PipelineRun
        do {
            run = try PipelineRun.start(try loadPlan(folder), options: options)
        } catch let error as PipelineError {
            throw CommandFailure(exitCode: error.exitCode, text: error.description)
        }
        switch run.wait() {
        case .failure(let error):
            throw CommandFailure(exitCode: error.exitCode, text: error.description)
        case .success(let summary):
            let perRecord = summary.cpuSeconds * 1e6 / Double(max(1, summary.read))
            let rate = Double(summary.read) / max(summary.seconds, 1e-9)
            print(
                "{\"records\":\(summary.read),\"workers\":\(workers),"
                    + "\"seconds\":\(summary.seconds),"
                    + "\"records_per_second\":\(Int(rate)),"
                    + "\"cpu_microseconds_per_record\":\((perRecord * 1000).rounded() / 1000),"
                    + "\"peak_memory_bytes\":\(summary.peakMemoryBytes)}")
        }
    }

    private func measureStore() throws {
        signal(SIGXFSZ, SIG_IGN)
        let levels: [String: Durability?] = ["disk": .disk, "os-cache": .osCache, "memory": nil]
        guard let level = levels[durability] else {
            throw ValidationError("--durability must be disk, os-cache or memory")
        }
        guard batch > 0, size > 0, size <= 512 << 20, messages ?? 1 > 0 else {
            throw ValidationError("--batch, --size and --messages must be above zero")
        }
        let parent = data ?? temporaryFolder()
        unsafe mkdir(parent, 0o777)
        let store = parent + "/bench-queue.store"
        let bench = QueueBench(
            folder: store, durability: level, batch: batch, size: size, messages: messages,
            seconds: seconds ?? 1)
        removeStore(store)
        defer {
            removeStore(store)
            // Only when it was made for this.
            unsafe rmdir(parent)
        }
        do throws(QueueError) {
            print(subject == .queue ? try bench.queue() : try bench.journal())
        } catch { throw CommandFailure(exitCode: 1, text: "error: \(error)") }
    }

    private func removeStore(_ store: String) {
        for folder in ["/journal", "/snapshots", ""] {
            for name in fileNames(in: store + folder) { unsafe unlink(store + folder + "/" + name) }
            unsafe rmdir(store + folder)
        }
    }

    private func temporaryFolder() -> String {
        guard let value = unsafe getenv("TMPDIR") else { return P_tmpdir }
        return unsafe String(cString: value)
    }

    private func write(_ text: String, to path: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
        let bytes = Array(text.utf8)
        let written = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
        }
        close(descriptor)
        guard written == bytes.count else {
            throw CommandFailure(exitCode: 1, text: "error: \(path): cannot be written")
        }
    }
}

/// The pipeline that `bench pipeline` runs by itself.
enum BenchFiles {
    static func pipeline(records: Int) -> String {
        """
        name: bench
        source: {generate: {script: generate.lua, count: \(records), seed: 1}}
        stages:
          - {name: shape, transform: shape.lua}
        sinks:
          - {from: shape, null: {}}

        """
    }

    static let livePipeline = """
        source: {file: {path: "-"}}
        stages:
          - {name: shape, transform: shape.lua}
        sinks:
          - {from: shape, stdout: {}}

        """

    static let rule = """
        function process(r)
          if r.status == "queued" then return drop("queued") end
          r.processing_time_ms = r.processing_time * 1000
          r.status = r.status:upper()
        end

        """

    static let generator = """
        local states = {"completed", "failed", "queued"}
        function generate(i)
          return {video_id = "vid_" .. i, user_id = "user_" .. math.random(10000),
                  processing_time = math.random() * 10, status = states[math.random(3)],
                  meta = {source = "api", attempt = 1}}
        end

        """
}
