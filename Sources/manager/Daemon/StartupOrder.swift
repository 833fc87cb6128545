import EventLog
import Projections

/// What must be known before the lock's directory is made.
enum StartupOrder {
    /// Throws where a state file stands without its journal and cannot be imported: making the directory would hide
    /// that.
    static func refuseStateWithoutJournal(_ data: DataDirectory) throws(StartFailure) {
        let bytes: [UInt8]
        do throws(FileError) {
            guard try data.fileSystem.metadata(data.stateFile) != nil,
                try data.fileSystem.metadata(data.journalPath) == nil
            else { return }
            bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
        } catch { throw StartFailure(error) }
        guard !StateDecoder.isOwn(bytes) else { throw .missingJournal(data) }
        _ = try PythonImport(data: data).plan(bytes, file: data.stateFile)
    }
}

extension StartFailure {
    /// The refusal of a state file of ours that has no journal beside it.
    static func missingJournal(_ data: DataDirectory) -> StartFailure {
        StartFailure(
            "\(data.stateFile) stands here, but its journal (\(data.journalPath)/) is missing or empty: put it back, or use "
                + "another --data-dir; 'manager reset' sets the file aside and starts fresh; 'manager import FILE' takes "
                + "over a Python manager's state file, which this is not", exitStatus: 2)
    }
}
