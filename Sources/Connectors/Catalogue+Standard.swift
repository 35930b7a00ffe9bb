package import Connecting

extension Catalogue {
    /// Every connector of this version.
    package static let standard = Catalogue(
        sources: [.file, .generate], sinks: [.file, .stdout, .null])
}
