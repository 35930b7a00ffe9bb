extension Plan {
    /// The modules of a folder that has rules but no `pipeline.yaml`, with the usual settings.
    public init(rulesIn folder: String) throws(DiagnosticList) {
        try self.init(Definition(folder: folder))
    }
}
