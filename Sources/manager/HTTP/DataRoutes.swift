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
            let loaded = try ready()
            let actor = RouteSet.actor(request, context)
            let compaction = Compaction(processor: loaded.processor, snapshots: loaded.snapshots)
            let outcome = await onThread(named: "compact") { Result { try compaction.run(actor: actor) } }
            switch outcome {
            case .success(let done): return JSONAnswer.json(Array(done.json.utf8))
            case .failure(let error):
                let problem = DiskProblem(error)
                throw Problem(
                    problem.isFull ? .init(code: 507, reasonPhrase: "Insufficient Storage") : .internalServerError,
                    problem.description)
            }
        }
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
