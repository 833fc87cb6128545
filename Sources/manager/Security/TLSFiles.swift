import EventLog
import Foundation
import NIOSSL

/// The certificate and key that both ports speak TLS with.
struct TLSFiles: Sendable {
    /// What is wrong with the files: one sentence.
    struct Problem: Error, Sendable, CustomStringConvertible {
        let description: String
    }

    /// The certificate's absolute path, for verbs on this machine.
    let certificate: String
    /// For the HTTP port.
    let configuration: TLSConfiguration
    /// For the workers' port.
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
            self.configuration = configuration
            self.certificate = URL(fileURLWithPath: certificate).path
            context = try NIOSSLContext(configuration: configuration)
        } catch let problem as Problem { throw problem } catch {
            throw Problem(
                description:
                    "the TLS files \(certificate) and \(key) are not taken (\(error)): PEM files that belong together are due"
            )
        }
    }
}
