import ArgumentParser
@preconcurrency import Dispatch
import EventLog
import Foundation
import Glibc
import Logging

/// Who may speak to a manager that is started, and how.
struct DoorOptions: ParsableArguments {
    @Option(help: "The file of tokens (MANAGER_TOKENS), made by 'manager token create'; without it nobody needs one.")
    var tokens: String?
    @Option(help: "The certificate, with its chain (PEM): both ports then speak TLS.") var tlsCert: String?
    @Option(help: "The certificate's key (PEM, mode 0600).") var tlsKey: String?
    @Option(help: "A host name by which the manager is called, besides the listen address; repeatable.")
    var allowHost: [String] = []
    @Flag(help: "Take existing Python workers, which know no tokens, from other machines too.")
    var allowTokenlessWorkers = false
    @Flag(help: "Listen beyond this machine although tokens or TLS are missing.") var insecure = false
    @Option(help: "Write a JSON line for each HTTP request to this file; -: to standard error.")
    var accessLog: String?

    /// Reads the files. Throws a sentence for what cannot be taken.
    func security(_ logger: Logger) throws -> ServerSecurity {
        var security = ServerSecurity.loopback(logger)
        do {
            security.tokens = try TokenFile.named(tokens).map { file throws(TokenFile.Problem) in try TokenStore(file) }
        } catch { throw VerbFailure("\(error)", status: 1) }
        switch (tlsCert, tlsKey) {
        case (nil, nil): break
        case (let certificate?, let key?):
            do { security.tls = try TLSStore(certificate: certificate, key: key) } catch {
                throw VerbFailure("\(error)", status: 1)
            }
        default: throw ValidationError("--tls-cert and --tls-key go together")
        }
        security.allowedHosts = Set(allowHost.map { $0.lowercased() })
        security.allowsTokenlessWorkers = allowTokenlessWorkers
        return security
    }

    /// Opens the access log; nil where none is wanted.
    func accessLog(_ logger: Logger) throws -> AccessLog? {
        try accessLog.map { path throws(FileError) in try AccessLog(path) { logger.warning("\($0)") } }
    }

    /// What SIGHUP does: tokens and certificate are read again, the access log is opened anew.
    func reload(_ security: ServerSecurity, _ log: AccessLog?, _ logger: Logger) {
        log?.reopen()
        if let tls = security.tls {
            do throws(TLSFiles.Problem) {
                try tls.reload()
                logger.notice("the certificate \(tls.certificate) was read again: new connections get it")
            } catch { logger.error("the certificate in use stays: \(error)") }
        }
        guard let tokens = security.tokens else { return }
        do throws(TokenFile.Problem) {
            let count = try tokens.reload()
            logger.notice("\(count) tokens were read again")
        } catch { logger.error("the tokens stay as they are: \(error)") }
    }
}

/// SIGHUP, carried out on a queue of the system's.
final class Hangups: Sendable {
    private let source: any DispatchSourceSignal

    init(_ body: @escaping @Sendable () -> Void) {
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler(handler: body)
        source.resume()
    }

    /// Hears no more.
    func stop() { source.cancel() }
}

/// The bounds of what clients may send and hold.
struct LimitOptions: ParsableArguments {
    @Option(help: "The largest body of a request.") var maxBody = "8MiB"
    @Option(help: "The most bytes of a request's head.") var maxHeader = "64KiB"
    @Option(help: "The most elements of an array in a request.") var maxItems = 100_000
    @Option(help: "The most connections to each port at once.") var maxConnections = 4096
    @Option(help: "The time in which a request must come, and a client must take what it is sent.")
    var requestTimeout = "30s"
    @Option(help: "How long a connection may stay open between two requests.") var idleTimeout = "75s"

    /// The bounds. Throws a usage error for what cannot be understood.
    func limits() throws -> ServerLimits {
        var limits = ServerLimits()
        do {
            limits.bodyBytes = Int(try MomentText.sizeBytes(maxBody, "--max-body"))
            limits.headerBytes = Int(try MomentText.sizeBytes(maxHeader, "--max-header"))
            limits.request = try MomentText.duration(requestTimeout, "--request-timeout")
            limits.idle = try MomentText.duration(idleTimeout, "--idle-timeout")
        } catch { throw ValidationError("\(error)") }
        limits.items = maxItems
        limits.connections = maxConnections
        guard limits.bodyBytes >= 1024, limits.headerBytes >= 1024, maxItems >= 1, maxConnections >= 1 else {
            throw ValidationError("--max-body and --max-header are at least 1KiB, --max-items and --max-connections 1")
        }
        guard limits.request >= .milliseconds(100), limits.idle >= .milliseconds(100) else {
            throw ValidationError("--request-timeout and --idle-timeout are at least 100ms")
        }
        return limits
    }
}
