/// Writes whole files: under a temporary name, synced, renamed, directory synced.
///
/// Order of effects: (1) bytes of `NAME.tmp` durable, (2) rename, (3) the directory durable. Power lost before
/// (3): the next start finds the old file or the new one, whole, and maybe a `.tmp`, which it deletes.
/// Large files are written in synced pieces with a pause between, so that the journal's syncs do not queue
/// behind them.
public struct AtomicFile {
    /// The bytes of one synced piece.
    public static let pieceBytes = 256 << 10

    private let fileSystem: any FileSystem
    private let path: String
    private let file: any File
    private var pending: [UInt8] = []
    private var offset: Int64 = 0
    private let pause: (() -> Void)?

    /// The temporary name that the bytes are written under.
    public var temporaryPath: String { path + ".tmp" }

    /// Opens `path.tmp`, emptying a left-over. `pause` is called between pieces; nil: no pacing. `isPrivate`: nobody but
    /// the owner may read it.
    public init(
        _ path: String, on fileSystem: any FileSystem, isPrivate: Bool = false, pause: (() -> Void)? = nil
    ) throws(FileError) {
        self.fileSystem = fileSystem
        self.path = path
        self.pause = pause
        self.file = try fileSystem.open(path + ".tmp", isPrivate ? .replacePrivate : .replace)
    }

    /// Adds bytes at the end.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        pending.append(contentsOf: bytes)
        if pending.count >= Self.pieceBytes { try flush(pausing: true) }
    }

    /// Adds bytes at the end.
    public mutating func append(_ bytes: [UInt8]) throws(FileError) {
        pending.append(contentsOf: bytes)
        if pending.count >= Self.pieceBytes { try flush(pausing: true) }
    }

    /// Makes the bytes durable under the temporary name and closes it, without renaming.
    public mutating func finishTemporary() throws(FileError) {
        try flush(pausing: false)
        try file.sync()
        file.close()
    }

    /// Gives the finished temporary file its name and makes that durable.
    public func publish() throws(FileError) {
        try fileSystem.rename(temporaryPath, to: path)
        try fileSystem.syncDirectory(parentDirectory(of: path))
    }

    /// `finishTemporary` and `publish`.
    public mutating func commit() throws(FileError) {
        try finishTemporary()
        try publish()
    }

    /// Gives up: the temporary file is removed. For the way out after another error, which is the one to report: where
    /// this fails too, the `.tmp` stays, is never read, and goes with the next write of the file or the next start.
    public func abandon() {
        file.close()
        do throws(FileError) { try fileSystem.remove(temporaryPath) } catch { return }
    }

    private mutating func flush(pausing: Bool) throws(FileError) {
        guard !pending.isEmpty else { return }
        let bytes = pending
        let at = offset
        try writeAll(bytes, to: file, at: at)
        offset += Int64(bytes.count)
        pending.removeAll(keepingCapacity: true)
        if pausing, let pause {
            try file.sync()
            pause()
        }
    }
}

/// Writes an array at an offset; `File.write` takes a raw pointer, which typed throws cannot cross a closure with.
public func writeAll(_ bytes: [UInt8], to file: any File, at offset: Int64) throws(FileError) {
    var failure: FileError?
    bytes.withUnsafeBytes { raw in
        do throws(FileError) { try file.write(raw, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
}

/// The whole content of a file.
public func readWholeFile(_ path: String, on fileSystem: any FileSystem) throws(FileError) -> [UInt8] {
    let file = try fileSystem.open(path, .read)
    defer { file.close() }
    let size = Int(try file.sizeBytes())
    return try readBytes(of: file, at: 0, count: size)
}

/// At most `count` bytes of a file from `offset`; fewer where it ends.
public func readBytes(of file: any File, at offset: Int64, count: Int) throws(FileError) -> [UInt8] {
    var failure: FileError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        let raw = UnsafeMutableRawBufferPointer(buffer)
        do throws(FileError) {
            while filled < count {
                let got = try file.read(
                    at: offset + Int64(filled), into: UnsafeMutableRawBufferPointer(rebasing: raw[filled...]))
                if got == 0 { break }
                filled += got
            }
        } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
}
