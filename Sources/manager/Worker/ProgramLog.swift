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

    private var file: any File
    private var endOffset: Int64
    private let mostBytes: Int64?
    private let fileSystem: any FileSystem

    /// Opens the log at its end, making the directories above it. One that has grown beyond `mostBytes` is moved to
    /// `path.1`, in place of what stood there, and a new one is begun.
    init(path: String, mostBytes: Int64? = nil, on fileSystem: any FileSystem) throws(FileError) {
        self.mostBytes = mostBytes
        self.fileSystem = fileSystem
        try fileSystem.createDirectories(parentDirectory(of: path))
        self.path = path
        file = try fileSystem.open(path, .update)
        endOffset = try file.sizeBytes()
    }

    /// Adds bytes at the end. Not synced: a log is no record.
    mutating func append(_ bytes: [UInt8]) {
        do throws(FileError) {
            if let mostBytes, endOffset > 0, endOffset + Int64(bytes.count) > mostBytes { try rotate() }
            try writeAll(bytes, to: file, at: endOffset)
            endOffset += Int64(bytes.count)
        } catch {
            failure = failure ?? error
            droppedBytes += bytes.count
        }
    }

    private mutating func rotate() throws(FileError) {
        try fileSystem.rename(path, to: path + ".1")
        let fresh = try fileSystem.open(path, .update)
        file.close()
        file = fresh
        endOffset = 0
    }

    /// Closes the file.
    func close() { file.close() }
}
