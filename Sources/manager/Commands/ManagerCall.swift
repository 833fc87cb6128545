import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// One call to a running manager.
enum ManagerCall {
    /// Posts nothing to a path and returns the answer's body. Throws a sentence for any answer but 200.
    static func post(_ url: String, _ path: String, within limit: TimeAmount) async throws -> [UInt8] {
        var request = HTTPClientRequest(url: url + path)
        request.method = .POST
        if let token = ProcessInfo.processInfo.environment["MANAGER_TOKEN"], !token.isEmpty {
            request.headers.add(name: "Authorization", value: "Bearer \(token)")
        }
        let body: ByteBuffer
        let status: UInt
        do {
            let response = try await HTTPClient.shared.execute(request, timeout: limit)
            status = response.status.code
            body = try await response.body.collect(upTo: 8 << 20)
        } catch { throw VerbFailure("cannot reach the manager at \(url): \(error)", status: 1) }
        guard status == 200 else {
            throw VerbFailure("the manager at \(url) answered \(status): \(String(buffer: body))", status: 1)
        }
        return Array(body.readableBytesView)
    }
}
