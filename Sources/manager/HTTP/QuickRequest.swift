import HTTPTypes

/// A request that may be answered without the router: a worker's call with an ordinary head.
struct QuickRequest {
    /// What is asked for.
    enum Call {
        case claim
        case complete, fail, takeBack, heartbeat
    }

    /// The largest body; beyond it, reading it would hold up the event loop.
    static let mostBodyBytes = 64 << 10

    let head: HTTPRequest
    let call: Call
    /// The task that is spoken of; empty for a claim.
    let task: String
    let host: String
    /// When its head came.
    let began = ContinuousClock.now
    private(set) var authorization: String?
    private(set) var actor: String?
    private(set) var id: String?

    /// Nil for everything that is not ordinary: it takes the long way.
    init?(_ head: HTTPRequest, mostBodyBytes: Int) {
        guard head.method == .post, let path = head.path, let (call, task) = Self.call(path), let host = head.authority
        else { return nil }
        (self.head, self.call, self.task, self.host) = (head, call, task, host)
        var (type, length): (String?, Int?)
        for field in head.headerFields {
            switch field.name.canonicalName {
            case "content-type":
                guard type == nil else { return nil }
                type = field.value
            case "content-length":
                guard length == nil else { return nil }
                length = Int(field.value)
            case "connection": guard field.value == "keep-alive" else { return nil }
            case "authorization":
                guard authorization == nil else { return nil }
                authorization = field.value
            case "manager-actor":
                guard actor == nil else { return nil }
                actor = field.value
            case "x-request-id":
                guard id == nil else { return nil }
                id = field.value
            case "origin", "expect", "transfer-encoding", "content-encoding", "idempotency-key", "upgrade": return nil
            default: continue
            }
        }
        guard type == "application/json", let length, length > 0, length <= min(mostBodyBytes, Self.mostBodyBytes)
        else { return nil }
    }

    /// What a path means; nil for any other, also where something in it is encoded.
    private static func call(_ path: String) -> (Call, String)? {
        if path == "/api/v1/claims" { return (.claim, "") }
        let prefix = "/api/v1/tasks/"
        guard path.hasPrefix(prefix), let slash = path.utf8.lastIndex(of: 47) else { return nil }
        let start = path.utf8.index(path.startIndex, offsetBy: prefix.utf8.count)
        guard start < slash else { return nil }
        let task = path[start..<slash]
        guard task.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 37 && $0 != 47 && $0 != 63 && $0 != 35 }) else {
            return nil
        }
        switch path[path.utf8.index(after: slash)...] {
        case "complete": return (.complete, String(task))
        case "fail": return (.fail, String(task))
        case "return": return (.takeBack, String(task))
        case "heartbeat": return (.heartbeat, String(task))
        default: return nil
        }
    }
}
