import Glibc
import Tidewheel

/// A service with a durable queue: handlers are Swift, and how long a failed message waits is said
/// by a rule in Lua, which may change while the program runs.
@main
struct EmbeddedQueue {
    struct Job: Codable, Sendable {
        var image: String
        var width: Int
    }

    struct Busy: Error, CustomStringConvertible {
        let description = "the renderer is busy"
    }

    static func main() async throws {
        let folder = CommandLine.arguments.dropFirst().first ?? "examples/embedded/queue/pipeline"
        let running = try Pipeline(folder: folder).start(data: temporaryFolder())
        let jobs = try running.queue("thumbnails")
        let dead = try running.queue("thumbnails.dead")

        for (image, width) in [("cat.png", 64), ("slow.png", 64), ("broken.png", 0)] {
            // On the disk when this returns.
            try await jobs.publish(NewMessage(encoding: Job(image: image, width: width)))
        }
        let (outcomes, outcome) = AsyncStream.makeStream(of: String.self)
        let workers = Task {
            try await jobs.handle(concurrency: 2, timeout: .seconds(5)) { message in
                let job = try message.decode(Job.self)
                if job.width == 0 { throw QueueError(.other, "an image needs a width") }
                if job.image == "slow.png", message.attempt < 3 { throw Busy() }
                outcome.yield("made \(job.image) at attempt \(message.attempt)")
            }
        }
        let mourners = Task {
            try await dead.handle { message in
                let job = try message.decode(Job.self)
                let attempts = message.history?.attempts.count ?? 0
                outcome.yield("gave up \(job.image) after \(attempts) attempts")
            }
        }
        for await line in outcomes.prefix(3) { print(line) }
        for task in [workers, mourners] { task.cancel() }
        try await running.stop()
    }

    private static func temporaryFolder() -> String {
        var template = Array("\(P_tmpdir)/thumbnails-XXXXXX".utf8CString)
        unsafe mkdtemp(&template)
        return String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
