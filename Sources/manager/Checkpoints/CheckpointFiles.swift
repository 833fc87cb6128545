import EventLog
import Projections

/// What stands in `checkpoints/`: states (`<seq>.json.gz`) and indexes of tasks' events (`<seq>.index`), each named by the
/// last event that it knows of. Made for speed: any of them may be missing, damaged, or of another journal.
struct CheckpointFiles: Sendable {
    private static let stateSuffix = ".json.gz"
    private static let indexSuffix = ".index"

    private let data: DataDirectory
    /// The ends of states, ascending.
    let states: [LogPosition]
    /// The ends of indexes, ascending.
    let indexes: [LogPosition]

    /// Lists the directory; nothing is read.
    init(_ data: DataDirectory) throws(FileError) {
        self.data = data
        var states: [LogPosition] = []
        var indexes: [LogPosition] = []
        if try data.fileSystem.metadata(data.checkpoints) != nil {
            for name in try data.fileSystem.list(data.checkpoints) {
                if let position = Self.position(name, Self.stateSuffix) { states.append(position) }
                if let position = Self.position(name, Self.indexSuffix) { indexes.append(position) }
            }
        }
        self.states = states.sorted()
        self.indexes = indexes.sorted()
    }

    private static func position(_ name: String, _ suffix: String) -> LogPosition? {
        guard name.hasSuffix(suffix) else { return nil }
        return UInt64(name.dropLast(suffix.count)).map { LogPosition($0) }
    }

    /// Where a state that ends with an event stands.
    static func statePath(_ position: LogPosition, _ data: DataDirectory) -> String {
        "\(data.checkpoints)/\(position)\(stateSuffix)"
    }

    /// Where an index that ends with an event stands.
    static func indexPath(_ position: LogPosition, _ data: DataDirectory) -> String {
        "\(data.checkpoints)/\(position)\(indexSuffix)"
    }

    /// Removes all that end at or behind an event. They can be made again.
    func remove(from position: LogPosition) throws(FileError) { try remove(where: { $0 >= position }) }

    /// Removes all that end before an event.
    func remove(before position: LogPosition) throws(FileError) { try remove(where: { $0 < position }) }

    private func remove(where isDue: (LogPosition) -> Bool) throws(FileError) {
        let paths =
            indexes.filter(isDue).map { Self.indexPath($0, data) }
            + states.filter(isDue).map { Self.statePath($0, data) }
        guard !paths.isEmpty else { return }
        for path in paths { try data.fileSystem.remove(path) }
        try data.fileSystem.syncDirectory(data.checkpoints)
    }

    /// An index; nil where it is not to be read, damaged, or not what its name says.
    func index(_ position: LogPosition) -> TaskIndex? {
        do {
            let bytes = try readWholeFile(Self.indexPath(position, data), on: data.fileSystem)
            guard let index = TaskIndex(bytes), index.last == position else { return nil }
            return index
        } catch { return nil }  // it went meanwhile, or the disk refuses: the journal has everything
    }
}

extension DataDirectory {
    /// The directory of what is made for speed.
    var checkpoints: String { path + "/checkpoints" }
}
