import AsyncHTTPClient
import EventLog
import NIOCore
import NIOHTTP1
import Projections

/// What the running manager of a data directory knows beside the events, for verbs that read the directory: asked over
/// HTTP, within a second. Where no manager runs, or none answers, nothing is known, and that is no error.
enum LiveProgress {
    /// Asks the manager that is named in the journal's lock.
    static func read(_ data: DataDirectory) async -> LiveWorkers {
        guard let manager = LockLine.manager(data) else { return LiveWorkers() }
        do {
            let client = try ManagerClient(manager)
            return try parse(try await client.quickly("/workers"))
        } catch { return LiveWorkers() }  // not running, or too busy to answer: the directory tells the rest
    }

    private static func parse(_ json: [UInt8]) throws(JSONError) -> LiveWorkers {
        var failure: JSONError?
        let live = json.withUnsafeBufferPointer { bytes -> LiveWorkers in
            var live = LiveWorkers()
            var reader = JSONReader(bytes)
            do throws(JSONError) {
                try reader.array { reader throws(JSONError) in try take(&reader, &live) }
            } catch { failure = error }
            return live
        }
        if let failure { throw failure }
        return live
    }

    private static func take(_ reader: inout JSONReader, _ live: inout LiveWorkers) throws(JSONError) {
        var (name, task, attempt): (String, String?, Int64?) = ("", nil, nil)
        var progress: Double?
        var marks: [String] = []
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "worker": name = try reader.string()
            case "task": task = reader.takeNull() ? nil : try reader.string()
            case "attempt": attempt = reader.takeNull() ? nil : try reader.integer()
            case "progress": progress = try reader.double()
            case "marks": marks = try reader.strings()
            default: try reader.skip()
            }
        }
        if marks.contains("quarantined") { live.quarantined.insert(name) }
        guard let task, let attempt, let progress else { return }
        live.progress[AttemptReference(task: task, attempt: UInt32(clamping: attempt))] = progress
    }
}

extension ManagerClient {
    /// What is answered within a second.
    fileprivate func quickly(_ path: String) async throws -> [UInt8] {
        var request = HTTPClientRequest(url: url + "/api/v1" + path)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        let response = try await trust.client().execute(request, timeout: .seconds(1))
        guard response.status == .ok else { throw VerbFailure("\(response.status.code)", status: 1) }
        return Array((try await response.body.collect(upTo: 16 << 20)).readableBytesView)
    }
}
