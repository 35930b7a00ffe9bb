/// The page `running`: what an operator has to know of a run, topic by topic.
enum RunningReference {
    /// Something an operator looks up.
    struct Topic: Sendable {
        var name: String
        var text: String
    }

    static let topics: [Topic] = [
        Topic(
            name: "log lines",
            text: """
                `tidewheel run` writes what happens to standard error, a line each with time and \
                level: `started` with folder, rules, sources, sinks, data and workers, `ready`, \
                `stopping` and `stopped` with counts, what rules `log`, and warnings. What may \
                happen very often, such as a message that dies, a handler that fails or a row \
                that a sink refuses, is told once a second at most, with how often it was. \
                `--log-format json` writes objects with `time`, `level`, `message` and maybe \
                `event`; `--log-level` leaves out what matters less: debug, info, warning, \
                error. Standard output is for data only. On a terminal in the foreground a line \
                at the bottom shows how far the run is.
                """),
        Topic(
            name: "signals",
            text: """
                SIGTERM and SIGINT end a run in order: what was read is finished and committed, \
                exit code 0. Another one within two seconds means the same; a later one ends the \
                process at once, with a line and exit code 130, and what was not committed comes \
                with the next run.
                """),
        Topic(
            name: "exit codes",
            text: """
                0: it is done. 1: it failed, and the last lines say why. 2: wrong usage, or \
                something in the folder is wrong. 130: ended by a second signal. `--summary \
                FILE` writes counts also when a run has failed; then they have `error`.
                """),
        Topic(
            name: "reload",
            text: """
                `tidewheel reload` takes rules, modules, schemas and queue scripts. What else \
                stands in pipeline.yaml needs a restart: the answer names the keys, with exit \
                code 1, and nothing changes. `--force` loads the rules all the same.
                """),
        Topic(
            name: "folder and data",
            text: """
                Every verb takes the pipeline folder as `[FOLDER]` or `--folder`, and the store \
                as `--data`. Without a folder it is the one that the store lies in, or else the \
                current one; without a store it is `data` in the folder. Lists are tables on a \
                terminal and lines of JSON in a pipe; `--format` chooses.
                """),
        Topic(
            name: "control socket",
            text: """
                A running pipeline answers verbs over `data/control.sock`, which only its user \
                can open. 256 callers may wait at once (`receive --wait`, `tap`, `top`, `publish \
                -`), and there are places beside them for verbs that do not wait; eight may \
                `tap`. A connection that asks nothing is closed after 30 seconds, and so is a \
                caller that does not read for 10. A message that was received by a caller who is \
                gone goes back at once. "Busy", "no pipeline runs" and "went away" are told \
                apart.
                """),
        Topic(
            name: "handlers",
            text: """
                Handlers take messages as they are; `time:` is for records. `run --once` works \
                until the queues that have handlers are empty. What waits for long, or for a \
                person, is said and left: messages that are scheduled for later than a minute, \
                and those of a paused queue.
                """),
        Topic(
            name: "permissions",
            text: """
                `data/` is open to its owner alone (0700), and so is every file in it (0600).
                """),
    ]

    /// The page as Markdown.
    static var markdown: String {
        "# Running: log lines, signals, reloads and the control socket\n"
            + topics.map { "\n## \($0.name)\n\n\($0.text)\n" }.joined()
    }
}
