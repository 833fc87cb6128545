/// The bounds of what clients may send and hold, each set by a flag of `serve`.
struct ServerLimits: Sendable {
    /// The largest body.
    var bodyBytes = 8 << 20
    /// The most bytes of a request's head.
    var headerBytes = 64 << 10
    /// The most elements of an array in a body; more than a command's 10,000 become several commands.
    var items = 100_000
    /// The most connections at once, by port.
    var connections = 4096
    /// The time in which a request must come: its head from the connection's beginning, its body from the head on (a
    /// second more for every 16 KiB). Also how long a client may take nothing of its answer.
    var request: Duration = .seconds(30)
    /// How long a connection may stay open between two requests.
    var idle: Duration = .seconds(75)
    /// How long a manager that stops waits for what is on its way, in either direction: the same for all.
    let stop: Duration = .seconds(5)
}
