import AsyncHTTPClient
import EventLog
import Foundation
import NIOCore
import NIOSSL
import Synchronization

/// Which certificates of servers are trusted: the system's, or those in a file besides.
struct ServerTrust: Sendable, Hashable {
    /// A PEM file; nil: the system's alone.
    var ca: String?
    /// The certificate of the manager on this machine, by the name that it noted in its lock: its host name need not fit.
    var pinned: String?

    /// What is wrong with the file.
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    private static let clients = Mutex<[ServerTrust: HTTPClient]>([:])

    /// How a client speaks TLS. Throws where the file cannot be taken.
    func configuration() throws(Problem) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if pinned != nil { configuration.certificateVerification = .noHostnameVerification }
        guard let ca = pinned ?? ca else { return configuration }
        do {
            configuration.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile(ca))]
        } catch { throw Problem(description: "the certificates to trust, \(ca), cannot be read: \(error)") }
        return configuration
    }

    /// One client for the whole program, never shut down. A refused connection is an answer: it is not tried again.
    func client() throws(Problem) -> HTTPClient {
        try Self.clients.withLock { clients throws(Problem) in
            if let known = clients[self] { return known }
            var options = HTTPClient.Configuration(timeout: .init(connect: .seconds(5)))
            options.connectionPool.retryConnectionEstablishment = false
            // Nobody else's answer is followed: a token must not go where a redirection points.
            options.redirectConfiguration = .disallow
            options.tlsConfiguration = try configuration()
            let made = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: options)
            clients[self] = made
            return made
        }
    }
}
