import EventLog
import Hummingbird
import Projections

/// The data: backups and compaction.
enum DataRoutes {
    /// Adds `GET /api/v1/backups` and `POST /api/v1/compact`. `ready` throws until the state is loaded.
    static func add(
        to router: RouteSet.Routes, data: DataDirectory,
        ready: @escaping @Sendable () throws -> HTTPService.Loaded
    ) {
        router.get("/api/v1/backups") { _, _ in
            let list = try await onThread(named: "backups") { Result { try BackupList(data).json } }.get()
            return JSONAnswer.json(list)
        }
        router.post("/api/v1/compact") { request, context in
            var request = request
            let loaded = try ready()
            let actor = RouteSet.actor(request, context)
            let compaction = Compaction(processor: loaded.processor, snapshots: loaded.snapshots)
            let discarding = try discarding(
                try await BodyRules.bytes(&request, context, mayBeEmpty: true), data)
            let outcome = await onThread(named: "compact") {
                Result { try compaction.run(discarding: discarding, actor: actor) }
            }
            switch outcome {
            case .success(let done): return JSONAnswer.json(Array(done.json.utf8))
            case .failure(let error):
                if case JournalError.refused(let sentence) = error { throw Problem(.conflict, sentence) }
                let problem = DiskProblem(error)
                throw Problem(
                    problem.isFull ? .init(code: 507, reasonPhrase: "Insufficient Storage") : .internalServerError,
                    problem.description)
            }
        }
    }

    /// Reads `{"discard_before":TIME,"archive":DIR}`, each optional; nil where nothing is to be discarded.
    private static func discarding(_ body: [UInt8], _ data: DataDirectory) throws -> Discarding? {
        guard !body.isEmpty else { return nil }
        var (before, archive): (String?, String?) = (nil, nil)
        try BodyRules.object(body) { key, reader throws(JSONError) in
            switch key {
            case "discard_before": before = try reader.string()
            case "archive": archive = try reader.string()
            default: try reader.skip()
            }
        }
        guard let before else {
            guard archive == nil else {
                throw Problem(.badRequest, "archive without discard_before: name the time, too")
            }
            return nil
        }
        guard archive?.hasPrefix("/") ?? true else {
            throw Problem(.badRequest, "archive must be an absolute path on the manager's machine")
        }
        return Discarding(data: data, before: try Discarding.time(before), archive: archive)
    }
}

/// What the disk or the journal refused, for an answer.
struct DiskProblem: CustomStringConvertible {
    /// True where there was no room.
    let isFull: Bool
    /// A sentence.
    let description: String

    /// Takes any error; those that are not the disk's are described as they are.
    init(_ error: any Error) {
        let file: FileError? =
            switch error {
            case let error as FileError: error
            case JournalError.file(let error): error
            default: nil
            }
        isFull = file?.isDiskFull ?? false
        description =
            "\(error)" + (isFull ? ": free some room; what was not compacted yet stands as it was" : "")
    }
}
