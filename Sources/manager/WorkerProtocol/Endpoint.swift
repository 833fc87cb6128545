import NIOConcurrencyHelpers
import NIOCore

/// A host and a port, as `127.0.0.1:5000` or `[::1]:5000`.
struct Endpoint: Sendable, Equatable, CustomStringConvertible {
    /// The host's name or address, without brackets.
    let host: String
    /// 0 to 65535; 0 lets the system choose.
    let port: Int

    /// Reads `HOST:PORT`; nil for anything else.
    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { return nil }
        self.host = host
        self.port = port
    }

    /// The endpoint of a socket's address; nil for other kinds of sockets.
    init?(_ address: SocketAddress?) {
        guard let address, let host = address.ipAddress, let port = address.port else { return nil }
        self.host = host
        self.port = port
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// True for an IP address, false for a name.
    var isNumeric: Bool {
        do {
            _ = try SocketAddress(ipAddress: host, port: 0)
            return true
        } catch { return false }
    }

    /// True for addresses that only this machine reaches.
    var isLoopback: Bool { Self.isLoopback(host) }

    /// True for `localhost` and numeric addresses of this machine; not for names that only begin like one.
    static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { part in part.utf8.allSatisfy { (48...57).contains($0) } && UInt8(part) != nil }
    }
}

/// A value behind a lock, for closures that several threads may hold.
final class NIOLockedBox<Value: Sendable>: Sendable {
    private let box: NIOLockedValueBox<Value>

    init(_ value: Value) { box = NIOLockedValueBox(value) }

    /// The value now.
    var value: Value {
        get { box.withLockedValue { $0 } }
        set { box.withLockedValue { $0 = newValue } }
    }
}
