import EventLog
import Foundation
import NIOSSL
import Synchronization

/// The certificate and key that both ports speak TLS with: read at start, and again when the program gets SIGHUP.
final class TLSStore: Sendable {
    /// The certificate's absolute path, for verbs on this machine.
    let certificate: String
    private let key: String
    private let fileSystem: any FileSystem
    private let files: Mutex<TLSFiles>

    /// Reads the files. Throws what `TLSFiles` throws.
    init(
        certificate: String, key: String, on fileSystem: any FileSystem = LocalFileSystem()
    ) throws(TLSFiles.Problem) {
        // A program that changes its directory must find them again.
        self.certificate = URL(fileURLWithPath: certificate).path
        self.key = URL(fileURLWithPath: key).path
        self.fileSystem = fileSystem
        files = Mutex(try TLSFiles(certificate: certificate, key: key, on: fileSystem))
    }

    /// What a new connection speaks with; those that stand keep what they began with.
    var context: NIOSSLContext { files.withLock { $0.context } }

    /// Reads the files again. Where that fails, the pair in use stays.
    func reload() throws(TLSFiles.Problem) {
        let anew = try TLSFiles(certificate: certificate, key: key, on: fileSystem)
        files.withLock { $0 = anew }
    }
}
