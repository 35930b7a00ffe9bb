import ArgumentParser
import Connectors
import Glibc
import Operating

/// Where a pipeline and its store are.
struct StorePlace {
    var folder: String
    var data: String

    /// - Parameters:
    ///   - folder: as it was given; nil: the one that the store lies in, or else the current one.
    ///   - data: as it was given; nil: `data` in the folder.
    init(folder: String?, data: String?) {
        if let folder {
            self.folder = folder
            self.data = data ?? Self.join(folder, "data")
            return
        }
        // A store usually lies in the folder of its pipeline, wherever it is asked from.
        let parent = data.map { Self.join($0, "..") }
        if let parent, unsafe access(parent + "/pipeline.yaml", F_OK) == 0 {
            self.folder = parent
        } else {
            self.folder = "."
        }
        self.data = data ?? "data"
    }

    private static func join(_ folder: String, _ name: String) -> String {
        if folder == "." { return name }
        return folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }
}

/// The pipeline folder as an argument, for verbs that have no other.
struct FolderArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The pipeline folder.", valueName: "folder"))
    var path: String?
}

/// Where the store of a verb is.
struct PlaceOptions: ParsableArguments {
    @Option(
        help: "The pipeline folder; without it the one that the store lies in, or else this one.")
    var folder: String?
    @Option(help: "The folder of the store; data in the pipeline's folder if not given.")
    var data: String?

    func place(_ argument: FolderArgument? = nil) throws -> StorePlace {
        if let path = argument?.path, let folder, path != folder {
            throw ValidationError("the folder is given twice: \(path) and --folder \(folder)")
        }
        return StorePlace(folder: argument?.path ?? folder, data: data)
    }
}

/// A pipeline folder that is read and not run: by its name, or as an option like everywhere else.
struct ReadFolder: ParsableArguments {
    @Argument(help: ArgumentHelp("The pipeline folder.", valueName: "folder"))
    var path: String?
    @Option(help: "The pipeline folder, as an option.")
    var folder: String?
    @Option(help: "Taken as everywhere; only files of the folder are read here.")
    var data: String?

    /// The folder that is meant.
    var name: String { path ?? folder ?? "." }

    func validate() throws {
        if let path, let folder, path != folder {
            throw ValidationError("the folder is given twice: \(path) and --folder \(folder)")
        }
    }
}
