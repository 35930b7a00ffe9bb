internal import Records

/// Aggregates in Lua: computed before a record is committed, put in place when it is.
extension WindowSet {
    /// What `known` accumulators (empty ones are new) become with one more record.
    final func added(
        _ known: [[UInt8]], _ row: Row, _ block: RowBlock
    ) throws(UserAggregateError) -> [[UInt8]] {
        guard let users else { return [] }
        var values: [[UInt8]] = []
        for (index, step) in accumulators.userSteps.enumerated() {
            let place = Int(step.column)
            let bytes = index < known.count ? known[index] : []
            let start = bytes.isEmpty ? try users.create(place) : bytes
            values.append(try unsafe users.add(place, start, block.record(row).raw))
        }
        return values
    }

    /// The accumulators of an entry.
    final func userValues(_ words: Words) -> [[UInt8]] {
        accumulators.userSteps.map { accumulators.userBytes(words, $0) }
    }

    /// Puts accumulators in place.
    final func setUserValues(_ words: Words, _ values: [[UInt8]]) {
        for (step, bytes) in zip(accumulators.userSteps, values) {
            accumulators.setUserBytes(words, step, bytes)
        }
    }

    /// Two lists of accumulators as one.
    final func merged(
        _ left: [[UInt8]], _ right: [[UInt8]]
    ) throws(UserAggregateError) -> [[UInt8]] {
        guard let users else { return [] }
        var values: [[UInt8]] = []
        for (index, step) in accumulators.userSteps.enumerated() {
            let one = index < left.count ? left[index] : []
            let other = index < right.count ? right[index] : []
            if one.isEmpty || other.isEmpty {
                values.append(one.isEmpty ? other : one)
            } else {
                values.append(try users.merge(Int(step.column), one, other))
            }
        }
        return values
    }

    /// What the latest record that is still a transaction would leave in a window.
    final func preparedValues(_ key: ByteSlice, _ window: Int64) -> [[UInt8]]? {
        for row in prepared.reversed() {
            for entry in row where entry.window == window {
                if entry.key.withSlice({ $0.equals(key) }) { return entry.values }
            }
        }
        return nil
    }

    /// Puts the values of the record that is being added in place.
    final func commitPrepared(_ words: Words, window: Int64) {
        guard users != nil, let row = prepared.first else { return }
        for entry in row where entry.window == window { setUserValues(words, entry.values) }
    }
}
