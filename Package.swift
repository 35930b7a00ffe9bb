// swift-tools-version: 6.2
import PackageDescription

// The runtime and the libraries that Foundation needs of it, as parts of the program.
let staticRuntime = [
    "-static-stdlib", "-Xlinker", "-lCoreFoundation", "-Xlinker", "-l_FoundationICU", "-Xlinker",
    "-l_FoundationCShims", "-Xlinker", "-l_FoundationCollections",
]

let package = Package(
    name: "Tidewheel",
    products: [
        .library(name: "Tidewheel", targets: ["Tidewheel"]),
        .executable(name: "tidewheel", targets: ["CommandLine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
        .systemLibrary(
            name: "CCompression", pkgConfig: "zlib libzstd",
            providers: [.apt(["zlib1g-dev", "libzstd-dev"])]),
        .systemLibrary(
            name: "CEditline", pkgConfig: "libedit", providers: [.apt(["libedit-dev"])]),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(
            name: "CScripting", dependencies: ["CLua"],
            linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("re2")]),
        .target(name: "Records"),
        .target(name: "Threads"),
        .target(name: "CChecksum"),
        .target(name: "Journal", dependencies: ["CChecksum"]),
        .target(name: "Queueing", dependencies: ["Journal"]),
        .target(name: "Scripting", dependencies: ["CScripting", "Records"]),
        .target(name: "Windowing", dependencies: ["Records"]),
        .target(
            name: "Connecting",
            dependencies: ["CCompression", "Records", "Scripting", "Windowing"]),
        .target(
            name: "Connectors",
            dependencies: ["CCompression", "Connecting", "Records", "Scripting", "Threads"]),
        .target(
            name: "Definitions",
            dependencies: [
                "Connecting", "Queueing", "Records", "Scripting", "Windowing",
                .product(name: "Yams", package: "Yams"),
            ]),
        .target(
            name: "Engine",
            dependencies: [
                "Connecting", "Definitions", "Journal", "Queueing", "Records", "Scripting",
                "Threads", "Windowing",
            ]),
        .target(
            name: "Trials",
            dependencies: [
                "Connecting", "Definitions", "Engine", "Queueing", "Records", "Scripting",
                "Threads", "Windowing",
            ]),
        .target(
            name: "Operating",
            dependencies: [
                "CSQLite", "Connecting", "Definitions", "Engine", "Journal", "Queueing", "Records",
                "Threads", "Trials",
            ]),
        .target(
            name: "Tidewheel",
            dependencies: [
                "Connecting", "Connectors", "Definitions", "Engine", "Journal", "Operating",
                "Queueing", "Records", "Scripting", "Threads", "Trials",
            ]),
        .executableTarget(
            name: "CommandLine",
            dependencies: [
                "CEditline", "Connecting", "Connectors", "Definitions", "Engine", "Journal",
                "Operating", "Queueing", "Records", "Scripting", "Threads", "Trials",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            // Loading the runtime as a part of the program halves the start and saves 6 MB.
            linkerSettings: [
                .unsafeFlags(
                    staticRuntime,
                    .when(platforms: [.linux], configuration: .release))
            ]),
        .executableTarget(
            name: "embedded-transform", dependencies: ["Tidewheel"],
            path: "examples/embedded/transform", exclude: ["pipeline"]),
        .executableTarget(
            name: "embedded-queue", dependencies: ["Tidewheel"],
            path: "examples/embedded/queue", exclude: ["pipeline"]),
        .executableTarget(
            name: "embedded-pipeline", dependencies: ["Tidewheel"],
            path: "examples/embedded/operating", exclude: ["pipeline"]),
        .target(
            name: "TestKit",
            dependencies: ["Connecting", "Journal", "Records", "Threads", "Windowing"]),
        .testTarget(name: "JournalTests", dependencies: ["Journal", "TestKit"]),
        .testTarget(
            name: "QueueingTests", dependencies: ["Journal", "Queueing", "TestKit"],
            exclude: ["Fixtures"]),
        .testTarget(
            name: "SimulationTests", dependencies: ["Journal", "Queueing", "TestKit"]),
        .testTarget(name: "RecordsTests", dependencies: ["Records", "TestKit"]),
        .testTarget(
            name: "ScriptingTests", dependencies: ["CLua", "Records", "Scripting", "TestKit"]),
        .testTarget(name: "WindowingTests", dependencies: ["Records", "TestKit", "Windowing"]),
        .testTarget(name: "ThreadsTests", dependencies: ["TestKit", "Threads"]),
        .testTarget(name: "ConnectingTests", dependencies: ["Connecting", "TestKit"]),
        .testTarget(
            name: "ConnectorsTests",
            dependencies: ["Connecting", "Connectors", "Records", "TestKit", "Threads"]),
        .testTarget(
            name: "DefinitionsTests",
            dependencies: [
                "Connecting", "Connectors", "Definitions", "Records", "Scripting", "TestKit",
                "Windowing",
            ],
            exclude: ["Golden"]),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Connecting", "Connectors", "Definitions", "Engine", "Queueing", "Records",
                "Scripting", "TestKit", "Threads", "Windowing",
            ]),
        .testTarget(
            name: "TrialsTests",
            dependencies: [
                "Connecting", "Connectors", "Definitions", "Engine", "Records", "Scripting",
                "TestKit", "Trials",
            ],
            exclude: ["Golden"]),
        .testTarget(
            name: "OperatingTests",
            dependencies: ["Journal", "Operating", "Queueing", "Records", "TestKit"]),
        .testTarget(
            name: "TidewheelTests",
            dependencies: ["Connecting", "Records", "TestKit", "Threads", "Tidewheel"]),
        .testTarget(name: "CommandLineTests", dependencies: ["TestKit"]),
        .testTarget(name: "TestKitTests", dependencies: ["Connecting", "Records", "TestKit"]),
        .testTarget(name: "TidyTests"),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "Records", "TestKit", "embedded-transform", "embedded-queue", "embedded-pipeline",
            ],
            exclude: ["Golden", "instructions.json"]),
    ],
    cxxLanguageStandard: .cxx20
)

for target in package.targets where target.type != .system {
    if target.name == "CScripting" {
        target.cxxSettings = [.treatAllWarnings(as: .error)]
        continue
    }
    if target.name == "CChecksum" {
        target.cSettings = [.treatAllWarnings(as: .error)]
        continue
    }
    // Tests may touch pointers without a word: they end with the process.
    target.swiftSettings = target.type == .test ? [] : [.strictMemorySafety()]
    target.swiftSettings? += [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ]
    if target.name == "Queueing" {
        target.swiftSettings? += [.enableExperimentalFeature("Lifetimes")]
    }
}
