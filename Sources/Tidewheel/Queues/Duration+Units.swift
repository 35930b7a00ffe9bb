extension Duration {
    /// Whole milliseconds, as far as they fit 64 bits.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, hasOverflowed) = seconds.multipliedReportingOverflow(by: 1000)
        if hasOverflowed { return seconds < 0 ? .min : .max }
        return whole.addingReportingOverflow(attoseconds / 1_000_000_000_000_000).partialValue
    }
}
