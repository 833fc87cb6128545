import Hummingbird
import Projections

/// What a claim asks for.
struct ClaimBody: Sendable {
    /// What the claim is decided by.
    private(set) var request: ManagerState.ClaimRequest
    /// How long it waits where there is nothing.
    private(set) var waitSeconds = 0.0

    /// Reads a body. Throws a `Problem` (400) or a `JSONError` for what is none.
    init(_ body: [UInt8], key: String?) throws {
        self = try body.withUnsafeBufferPointer { try ClaimBody($0, key: key) }
    }

    /// Reads a body that lies elsewhere.
    init(_ body: UnsafeBufferPointer<UInt8>, key: String?) throws {
        var worker: String?
        var count: Int64 = 1
        var gpu: Int64?
        var heartbeat: Double?
        var host: String?
        var wait = 0.0
        try BodyRules.object(body) { key, reader throws(JSONError) in
            switch key {
            case "worker": worker = try reader.string()
            case "count": count = try reader.integer()
            case "gpu": gpu = reader.takeNull() ? nil : try reader.integer()
            case "heartbeat_s": heartbeat = reader.takeNull() ? nil : try reader.double()
            case "wait_s": wait = try reader.double()
            case "host": host = reader.takeNull() ? nil : try reader.string()
            default: try reader.skip()
            }
        }
        guard let worker else { throw Problem(.badRequest, "worker is missing: the name of who asks") }
        if let problem = Bounds.problem(withName: worker, what: "worker") { throw Problem(.badRequest, problem) }
        if let gpu, gpu < 0 { throw Problem(.badRequest, "gpu is \(gpu): name the GPU's number, 0 or more") }
        guard (1...1000).contains(count) else {
            throw Problem(.badRequest, "count is \(count), 1 to 1000 are allowed")
        }
        guard (0...60).contains(wait) else { throw Problem(.badRequest, "wait_s is \(wait), 0 to 60 are allowed") }
        if let heartbeat, !(0.1...86_400).contains(heartbeat) {
            throw Problem(.badRequest, "heartbeat_s is \(heartbeat), 0.1 to 86400 are allowed")
        }
        request = ManagerState.ClaimRequest(worker: worker, count: Int(count))
        request.key = key
        request.gpu = gpu
        request.heartbeatSeconds = heartbeat
        request.host = host.map { String($0.prefix(200)) }
        waitSeconds = wait
    }
}
