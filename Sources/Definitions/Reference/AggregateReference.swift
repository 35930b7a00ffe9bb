/// What `compute` knows, for the page `windows`.
enum AggregateReference {
    /// How each aggregate is written, and what it gives.
    static let entries: [(form: String, meaning: String)] = [
        ("count", "how many records; `count(f)`: those in which f is there"),
        ("sum(f)", "the sum; sums of integers are integers and exact"),
        ("avg(f)", "the mean"),
        ("min(f)", "the smallest"),
        ("max(f)", "the largest"),
        ("first(f)", "the first by time, then by arrival"),
        ("last(f)", "the last by time, then by arrival"),
        ("stddev(f)", "the standard deviation of a sample"),
        ("variance(f)", "its square"),
        ("mode(f)", "the most frequent value"),
        ("count_distinct(f)", "how many different values; 1 and \"1\" are two"),
        ("quantile(f, 0.95)", "the value at this rank, within 1 %"),
        ("top(f, 3)", "the most frequent values with their counts"),
        ("collect(f, 100)", "the values themselves, so many at most"),
        ("ratio_if(status == 'failed')", "the share of records that pass"),
    ]

    /// The part of the page.
    static let text =
        """

        ## Aggregates

        All but `count` skip null and missing fields; over nothing the result is null. Each may \
        end in ` where f > 5 and status == 'paid'` (`== != < <= > >=`; numbers, texts, `true`, \
        `false`, `null`). Dots lead into objects, other names stand in backticks, and a comma \
        inside `{…}` needs quotes around the value. `rules/score.lua` is an aggregate in Lua: \
        the file returns `{init, add, merge, result}`, perhaps with `retract`, `version` and \
        `migrate`.

        | aggregate | what |
        |---|---|

        """ + entries.map { "| `\($0.form)` | \($0.meaning) |\n" }.joined()
}
