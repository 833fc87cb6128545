import EventLog
import NIOCore
import NIOSSL

/// A certificate and its key, as they were read.
struct TLSFiles: Sendable {
    /// What is wrong with the files: one sentence.
    struct Problem: Error, Sendable, CustomStringConvertible {
        let description: String
    }

    /// For connections of both ports.
    let context: NIOSSLContext

    /// Reads PEM files: the certificate with its chain, and its key, which only its owner may read.
    init(certificate: String, key: String, on fileSystem: any FileSystem = LocalFileSystem()) throws(Problem) {
        do {
            for path in [certificate, key] where try fileSystem.metadata(path) == nil {
                throw Problem(description: "there is no file \(path) for --tls-cert and --tls-key")
            }
            let permissions = try fileSystem.metadata(key)?.permissions ?? 0
            guard permissions & 0o077 == 0 else {
                throw Problem(
                    description: "others than its owner may read the TLS key \(key): 'chmod 600 \(key)' protects it")
            }
            let chain = try NIOSSLCertificate.fromPEMFile(certificate)
            let secret = try NIOSSLPrivateKey(file: key, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(secret))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            // A client that takes nothing does not say goodbye either.
            configuration.shutdownTimeout = .seconds(1)
            context = try NIOSSLContext(configuration: configuration)
        } catch let problem as Problem { throw problem } catch {
            throw Problem(
                description:
                    "the TLS files \(certificate) and \(key) are not taken (\(error)): PEM files that belong together are due"
            )
        }
    }
}
