import NIOCore

/// What is known of a connection's client. Lives on its event loop.
final class QuickGuest {
    /// Its address without the port; `?` where the system does not tell.
    let peer: String
    /// Our own address on the connection.
    let local: String?
    /// The host name that was found to be ours.
    var host: String?
    /// The token that was found to be good, and when.
    var login: (text: String, generation: UInt64, name: String)?

    init(_ channel: any Channel) {
        peer = channel.remoteAddress?.ipAddress ?? "?"
        local = channel.localAddress?.ipAddress
    }
}
