import EventLog

@testable import manager

/// Rows and result files for tests.
enum ResultSample {
    /// The name of the data directory's file.
    static let top = ResultFiles.fileName

    /// A row with these differences from the usual one.
    static func row(
        _ task: String, attempt: Int = 1, phase: String = "p", config: String = #"{"width":1,"seed":42}"#,
        result: String = #"{"accuracy":0.5}"#, into directories: [String] = [], top: Bool = true
    ) -> ResultRow {
        ResultRow(
            task: task, attempt: attempt, phase: phase, seed: Array("42".utf8), config: Array(config.utf8),
            result: Array(result.utf8), outputDirectories: directories, isForDataDirectory: top)
    }

    /// The result files below a folder.
    static func files(_ folder: ScratchFolder, on fileSystem: any FileSystem = LocalFileSystem()) -> ResultFiles {
        ResultFiles(dataDirectory: folder.path, on: fileSystem)
    }
}
