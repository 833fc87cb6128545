import EventLog

/// The file that a program's output goes to. A log that cannot be written harms nobody: its bytes are dropped and
/// counted, the program goes on.
struct ProgramLog {
    /// The log's path.
    let path: String
    /// Bytes that could not be written.
    private(set) var droppedBytes = 0
    /// The first error of a write; nil where none failed.
    private(set) var failure: FileError?

    private let file: any File
    private var endOffset: Int64

    /// Opens the log at its end, making the directories above it.
    init(path: String, on fileSystem: any FileSystem) throws(FileError) {
        try fileSystem.createDirectories(parentDirectory(of: path))
        self.path = path
        file = try fileSystem.open(path, .update)
        endOffset = try file.sizeBytes()
    }

    /// Adds bytes at the end. Not synced: a log is no record.
    mutating func append(_ bytes: [UInt8]) {
        do throws(FileError) {
            try writeAll(bytes, to: file, at: endOffset)
            endOffset += Int64(bytes.count)
        } catch {
            failure = failure ?? error
            droppedBytes += bytes.count
        }
    }

    /// Closes the file.
    func close() { file.close() }
}
