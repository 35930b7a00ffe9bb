import ArgumentParser
internal import Connecting
internal import Definitions
import Glibc

/// `tidewheel new DIR`: a pipeline that runs, with a rule and its test.
struct NewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Create a pipeline folder that runs.")

    @Argument(help: "The folder to create.")
    var folder: String

    func run() throws {
        if unsafe access(folder + "/pipeline.yaml", F_OK) == 0 {
            throw CommandFailure(
                exitCode: 2,
                text: "error: \(folder)/pipeline.yaml is already there; nothing was changed")
        }
        var parents = folder.hasPrefix("/") ? "/" : ""
        for step in folder.split(separator: "/") {
            parents += step + "/"
            try makeFolder(parents)
        }
        for part in ["/rules", "/input", "/schemas", "/types"] { try makeFolder(folder + part) }
        for (path, text) in Scaffold.files {
            try write(text, to: folder + "/" + path)
        }
        print(
            """
            Created \(folder):
              pipeline.yaml             what runs, in which order
              rules/shape.lua           the rule; change it
              rules/shape.test.yaml     what it should do
              schemas/order.schema.json what a good record looks like
              input/orders.jsonl        five records to try, two of them bad
              types/                    what editors know about pipeline.yaml

            Next:
              tidewheel test \(folder)
              tidewheel run \(folder) --once
              cat \(folder)/out/orders.jsonl \(folder)/out/dead_letters.jsonl
            """)
    }

    private func makeFolder(_ path: String) throws {
        if unsafe mkdir(path, 0o777) != 0 && errno != EEXIST {
            throw CommandFailure(
                exitCode: 1, text: "error: \(path): \(unsafe String(cString: strerror(errno)))")
        }
    }

    private func write(_ text: String, to path: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL, 0o666)
        guard descriptor >= 0 else {
            throw CommandFailure(
                exitCode: 1, text: "error: \(path): \(unsafe String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        let written = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
        }
        guard written == bytes.count else {
            throw CommandFailure(exitCode: 1, text: "error: \(path): could not be written whole")
        }
    }
}

/// The files of a new pipeline.
enum Scaffold {
    static let files: [(path: String, text: String)] = [
        ("pipeline.yaml", pipeline), ("rules/shape.lua", rule), ("rules/shape.test.yaml", test),
        ("schemas/order.schema.json", schema), ("input/orders.jsonl", input),
        ("types/pipeline.schema.json", PipelineSchema(.checking).text),
    ]

    static let pipeline = """
        \(PipelineSchema.modeline)
        # Every key: tidewheel docs pipeline
        name: orders
        source:
          file: {path: "input/*.jsonl"}
        stages:
          - {name: check, validate: {schema: schemas/order.schema.json}}
          - {name: shape, transform: rules/shape.lua}
        sinks:
          - {from: shape, file: {path: out/orders.jsonl}}
          - {from: dead_letters, file: {path: out/dead_letters.jsonl}}

        """

    static let rule = """
        -- Called once per record. Change r in place; no return passes it on.
        -- Everything a rule may call: tidewheel docs lua
        function process(r, meta)
          if r.status == "cancelled" then return drop("cancelled") end
          r.total = round(r.price * r.quantity, 2)
          r.status = r.status:upper()
        end

        """

    static let test = """
        rule: shape.lua
        tests:
          - name: adds the total
            in: {status: open, price: 2.5, quantity: 3}
            contains: {total: 7.5, status: OPEN}
          - name: cancelled is dropped
            in: {status: cancelled, price: 1, quantity: 1}
            dropped: cancelled

        """

    static let schema = """
        {
          "type": "object",
          "required": ["order_id", "status", "price", "quantity"],
          "properties": {
            "order_id": {"type": "string", "minLength": 1},
            "status": {"enum": ["open", "paid", "cancelled"]},
            "price": {"type": "number", "minimum": 0},
            "quantity": {"type": "integer", "minimum": 1}
          }
        }

        """

    static let input = """
        {"order_id":"o1","status":"open","price":2.5,"quantity":3}
        {"order_id":"o2","status":"paid","price":19.99,"quantity":1}
        {"order_id":"o3","status":"cancelled","price":5,"quantity":2}
        {"order_id":"o4","status":"open","price":-1,"quantity":1}
        {"order_id":"o5","status":"open","price":3,

        """
}
