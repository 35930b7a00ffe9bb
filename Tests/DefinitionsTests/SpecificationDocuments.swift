/// Sound files that together use every section of `pipeline.yaml`.
enum SpecificationDocuments {
    static let all = [flow, windows, queues, routes]

    static let flow = """
        name: everything
        key: user_id
        partitions: 8
        source:
          file: {path: in.csv, format: csv, follow: true, infer_types: true, delimiter: ";", from: end,
            header: [a, b], comment: "#", skip: 2, null_values: [NA], last_line: wait,
            max_open_files: 64}
        time: {field: at, format: "%Y-%m-%d %H:%M:%S", timezone: Europe/Berlin, out_of_orderness: 5s,
          idle_after: 60s, max_future_skew: 1h}
        lookups:
          users: {file: users.csv, key: id, refresh: 5s, delimiter: ";"}
        stages:
          - {name: check, from: source, validate: {schema: s.json, rules: rules/a.lua}}
          - {name: shape, transform: rules/a.lua, budget: 50ms, lookups: [users]}
          - {name: rich, from: shape, enrich: rules/a.lua}
          - {name: way, route: rules/a.lua}
        sinks:
          - {name: rows, from: rich, file: {path: out/rows.jsonl, append: true, upsert: true}}
          - {name: table, from: rich, file: {path: out/rows.tsv, format: csv, columns: [id, name],
              rest: other, null_as: "NULL", delimiter: ";"}}
          - {name: parts, from: rich, file: {path: "out/%Y/%m/part-%n.jsonl",
              roll: {size: 128MiB, every: 1h, by: arrival}}}
          - {name: out, from: way, stdout: {upsert: true, outbox: true, key_field: id}}
          - {name: nothing, from: dead_letters, null: {}}
        limits: {script_memory: 32MiB, record: 1MiB, emitted: 128MiB, depth: 50, state_memory: 1GiB,
          slice: 5ms}
        delivery: at_least_once
        durability: {disk-within: 100ms}
        commit: {every: 1s, records: 100}
        end_of_input: keep
        checkpoint: {every: 60s}
        reload: {watch: true, shadow: 10, max_difference: 10%, max_new_errors: 2%, timeout: 5s,
          probation: {records: 10, error_rate: 5%}}
        """

    static let windows = """
        sources:
          made: {generate: {script: rules/a.lua, count: 10, rate: 5, seed: 7}}
          given: {ingest: {}}
          waiting: {queue: jobs}
        time: {field: at}
        queues: {jobs: {}}
        stages:
          - name: tumbling
            from: source
            aggregate:
              key: [user, region]
              window: {tumbling: 60s, offset: 5s}
              compute: {n: count, paid: {aggregate: sum(price), where: price > 1}}
              emit: close
              allowed_lateness: 0s
          - {name: daily, from: source, aggregate: {window: {tumbling: 1 day, timezone: UTC}, compute: {n: count}}}
          - {name: hopping, from: source, aggregate: {window: {hopping: {size: 60s, every: 20s, offset: 5s}},
              compute: {n: count}, emit: {every: 10s}, allowed_lateness: 5s}}
          - {name: session, from: source, aggregate: {window: {session: {gap: 30s}}, compute: {n: count}}}
          - {name: count, from: source, aggregate: {window: {count: {size: 7}}, compute: {n: count}, ttl: 1d}}
          - {name: range, from: source, aggregate: {window: {rolling: {range: 5m}}, compute: {n: count}}}
          - {name: rows, from: source, aggregate: {window: {rolling: {rows: 10}}, compute: {n: count}}}
          - {name: global, from: source, aggregate: {window: global, compute: {n: count}, emit: update, ttl: 1h}}
          - {name: all, from: source, aggregate: {window: {global: {}}, compute: {n: count}, emit: update, ttl: 1h}}
        sinks:
          - {from: tumbling, null: {}}
          - {from: daily, queue: jobs}
        """

    static let queues = """
        queues:
          jobs:
            max_size: 5000
            overflow: reject
            max_message_size: 64KiB
            message_ttl: 2h
            lease: 30s
            max_lease: 1h
            max_attempts: 4
            max_deaths: 5
            retry: {base: 1s, cap: 1h, factor: 3, jitter: 0.5, shape: linear, waits: [1s, 2s], rule: rules/a.lua}
            dead_letter_queue: dead
            dead_letters: keep
            on_dead_key: block
            deduplicate: 10m
            on_duplicate: ignore
            delivery: exactly_once
            durability: disk
          dead: {retry: 10s}
          listed: {retry: [1s, 10s], durability: {disk-within: 50ms}}
          asked: {retry: rules/a.lua}
        handlers:
          - {queue: jobs, script: rules/a.lua, concurrency: 5, timeout: 30s}
        store: {segment: 16MiB, catalogue: 5s}
        """

    static let routes = """
        queues: {jobs: {}, rest: {}}
        exchanges:
          videos:
            topic_field: kind
            alternate: rest
            routes:
              - {topic: "video.#", queue: [jobs, rest]}
              - {headers: {tier: premium, region: {exists: true}, size: {min: 1, max: 9}}, match: any, queue: jobs}
              - {rule: rules/a.lua, queue: rest}
        schedules:
          nightly:
            cron: "0 3 * * *"
            zone: Europe/Berlin
            queue: videos
            payload: {kind: cleanup}
            headers: {tier: free}
            priority: 4
            key: k
            ttl: 1h
            topic: a.b
            missed: once
        """
}
