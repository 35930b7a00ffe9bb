public import Connecting

extension Catalogue {
    /// Every connector of this version.
    public static let standard = Catalogue(
        sources: [.file, .generate], sinks: [.file, .stdout, .null])
}
