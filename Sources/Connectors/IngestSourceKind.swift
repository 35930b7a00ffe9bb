package import Connecting

extension SourceKind {
    /// `ingest`: records that the program hands over which embeds the engine.
    package static func ingest(_ open: @escaping Open) -> SourceKind {
        SourceKind(name: "ingest", section: .ingestSource) { _ in open }
    }
}

extension SectionSpecification {
    fileprivate static let ingestSource = SectionSpecification(
        "source.ingest", "Records that a Swift program hands over which embeds the engine.",
        keys: [])
}
