public import Connecting
public import Windowing

/// An `aggregate` stage: what it computes, and where its parts stand in `pipeline.yaml`.
public struct AggregateStage: Sendable {
    /// Keys, window, computed fields and columns.
    public var definition: AggregateDefinition
    /// The aggregates in Lua, each file once, in the order of `AggregateFunction.user(index)`.
    public var userFiles: [FileReference]
    /// Where the value of `aggregate` stands.
    public var location: Location
    /// Where the value of `window` stands.
    public var windowLocation: Location
    /// Where each computed field stands, in the order of `definition.computes`.
    public var computeLocations: [Location]
    /// Where `emit` or `allowed_lateness` stands when it makes the stage revise its rows.
    public var revisionLocation: Location?

    /// Creates a stage.
    public init(
        definition: AggregateDefinition, userFiles: [FileReference], location: Location,
        windowLocation: Location, computeLocations: [Location] = [],
        revisionLocation: Location? = nil
    ) {
        self.definition = definition
        self.userFiles = userFiles
        self.location = location
        self.windowLocation = windowLocation
        self.computeLocations = computeLocations
        self.revisionLocation = revisionLocation
    }

    /// True when a row may be followed by a newer one for the same key and window; then rows carry
    /// `revision` and `is_final`.
    public var revisesRows: Bool {
        definition.emission != .close || definition.allowedLateness > 0
    }

    /// The names that rows use for themselves, so no key and no computed field may have them.
    public static let reservedNames = ["window_start", "window_end", "revision", "is_final"]
}
