import Crypto
import EventLog
import Projections

/// Writes a state's file as gzip: backups and checkpoints.
///
/// Order of effects: the bytes under a temporary name, synced, read back and compared; then the rename; then the directory.
/// Power lost between: a `.tmp`, which the next start removes, or the whole file.
enum StateArchive {
    /// Asked whether the writing is to be given up.
    typealias Interruption = @Sendable () -> Bool

    /// The writing was given up, as was asked for.
    struct Interrupted: Error {}

    /// Writes it whole, or throws and leaves nothing. Returns its bytes before they were compressed.
    @discardableResult
    static func write(
        _ state: ManagerState, to path: String, on fileSystem: any FileSystem, paced: Bool,
        isInterrupted: @escaping Interruption = { false }
    ) throws -> Int {
        var file = try AtomicFile(path, on: fileSystem, pause: paced ? { pausePacedWriting() } : nil)
        do {
            let written = try fill(&file, state, isInterrupted)
            try file.finishTemporary()
            var hash = SHA256()
            try GzipFile.read(file.temporaryPath, on: fileSystem) { hash.update(data: $0) }
            guard hash.finalize() == written.hash else { throw Differs(path: file.temporaryPath) }
            try file.publish()
            return written.bytes
        } catch {
            file.abandon()
            throw error
        }
    }

    /// Writes the state as gzip members of 1 MiB; the bytes before they were compressed, and their hash.
    private static func fill(
        _ file: inout AtomicFile, _ state: ManagerState, _ isInterrupted: @escaping Interruption
    ) throws -> (hash: SHA256.Digest, bytes: Int) {
        var hash = SHA256()
        var bytes = 0
        var pending: [UInt8] = []
        var pieces = file
        try StateEncoder.write(state) { piece in
            hash.update(data: piece)
            bytes += piece.count
            pending += piece
            if pending.count >= 1 << 20 {
                if isInterrupted() { throw Interrupted() }
                try pieces.append(gzipMember(pending))
                pending.removeAll(keepingCapacity: true)
            }
        }
        if !pending.isEmpty { try pieces.append(gzipMember(pending)) }
        file = pieces
        return (hash.finalize(), bytes)
    }

    /// A file that was read back and is not what was written.
    struct Differs: Error, CustomStringConvertible {
        let path: String

        /// The text for people.
        var description: String { "\(path) was read back and is not what was written: look at the disk" }
    }
}
