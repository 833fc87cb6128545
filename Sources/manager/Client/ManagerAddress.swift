import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Projections

/// Where workers connect.
struct WorkerDestination: Sendable, Equatable {
    let endpoint: Endpoint
    /// Whether the connection speaks TLS.
    var isSecure = false
}

/// Where a worker finds its manager: `tcp://HOST:PORT` (`tls://`), or `http://HOST:PORT` (`https://`), which is asked for
/// the workers' address.
struct ManagerAddress: Sendable, Equatable, CustomStringConvertible {
    private enum Kind: Sendable, Equatable {
        case tcp(WorkerDestination)
        case http(String, host: String)
    }

    private let kind: Kind
    /// As it was given.
    let description: String
    /// Whose certificates are trusted.
    let trust: ServerTrust

    /// Reads an address; nil for anything else.
    init?(_ text: String, trust: ServerTrust = ServerTrust()) {
        description = text
        self.trust = trust
        for (scheme, isSecure) in [("tcp://", false), ("tls://", true)] where text.hasPrefix(scheme) {
            guard let endpoint = Endpoint(String(text.dropFirst(6))), endpoint.port > 0 else { return nil }
            kind = .tcp(WorkerDestination(endpoint: endpoint, isSecure: isSecure))
            return
        }
        guard let url = URL(string: text), let scheme = url.scheme, ["http", "https"].contains(scheme),
            let host = url.host, !host.isEmpty
        else { return nil }
        kind = .http(text.hasSuffix("/") ? String(text.dropLast()) : text, host: host)
    }

    /// Where workers connect as of now: a manager that was restarted may have another.
    func destination(token: String?) async throws(ConnectionFailure) -> WorkerDestination {
        switch kind {
        case .tcp(let destination): return destination
        case .http(let url, let host):
            return WorkerDestination(
                endpoint: try await asked(url, host: host, token: token), isSecure: url.hasPrefix("https://"))
        }
    }

    private func asked(_ url: String, host: String, token: String?) async throws(ConnectionFailure) -> Endpoint {
        let bytes: [UInt8]
        do {
            var request = HTTPClientRequest(url: url + "/api/v1/status")
            if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
            let response = try await trust.client().execute(request, timeout: .seconds(10))
            guard response.status != .unauthorized, response.status != .forbidden else {
                throw ConnectionFailure(
                    description:
                        "\(url) does not take \(token == nil ? "workers without a token" : "this token"): set MANAGER_TOKEN"
                )
            }
            guard response.status == .ok else {
                throw ConnectionFailure(description: "\(url) answers \(response.status.code)")
            }
            bytes = Array(buffer: try await response.body.collect(upTo: 8 << 20))
        } catch let failure as ConnectionFailure { throw failure } catch {
            throw ConnectionFailure(description: "cannot ask \(url): \(ConnectionFailure.words(error))")
        }
        guard let endpoint = Self.workerAddress(bytes) else {
            throw ConnectionFailure(
                description: "\(url) names no address for workers: is it started with --worker-listen?")
        }
        // One that listens everywhere, or only tells its own machine's name for itself, is reached where HTTP is.
        let isEverywhere = ["0.0.0.0", "::"].contains(endpoint.host)
        return isEverywhere
            ? Endpoint("\(host.contains(":") ? "[\(host)]" : host):\(endpoint.port)") ?? endpoint : endpoint
    }

    private static func workerAddress(_ json: [UInt8]) -> Endpoint? {
        json.withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes)
            var address: String?
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    if key == "worker_address", try reader.kind() == .string {
                        address = try reader.string()
                    } else {
                        try reader.skip()
                    }
                }
            } catch { return nil }
            return address.flatMap { Endpoint($0) }
        }
    }
}
