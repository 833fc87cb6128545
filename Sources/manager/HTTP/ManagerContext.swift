import Hummingbird
import NIOCore

/// What travels with a request from the door to its route.
struct ManagerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The client's address without its port; `?` where the system does not tell.
    let peer: String
    /// Our own address on this connection; nil where the system does not tell.
    let local: String?
    /// The connection.
    let channel: any Channel
    /// Who asks; nil where no tokens are configured, and on calls that need none.
    var caller: Caller?
    /// What its token was let in for; nil where none was needed.
    var access: Access?
    /// The bounds of what it may send.
    var limits = ServerLimits()
    /// Where who asked is written down, for the access log; nil where there is none.
    var actorNote: ActorNote?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
        peer = source.channel.remoteAddress?.ipAddress ?? "?"
        local = source.channel.localAddress?.ipAddress
    }
}
