import EventLog
import Glibc
import HTTPTypes
import Hummingbird
import Projections

/// `GET /tasks/{id}/log`: what an attempt's program wrote; with `follow=true` also what comes, until the attempt has
/// ended.
///
/// Shows ordinary files of the data directory alone. A worker elsewhere keeps its logs: the answer says where.
struct LogRoutes: Sendable {
    /// Each follower looks at its file with a thread of its own.
    private static let mostFollowers = 64
    /// Nobody tells when a program writes.
    private static let pause = Duration.milliseconds(200)
    /// Attempts of a task that are looked through for the newest log.
    private static let mostAttempts: UInt32 = 1000
    private static let mostLines = 1_000_000

    /// The attempt whose log it is.
    static let attemptName = HTTPField.Name("Manager-Attempt")
    /// The byte of the file at which the answer begins.
    static let offsetName = HTTPField.Name("Manager-Log-Offset")

    /// The file that the answer begins in.
    static let fileName = HTTPField.Name("Manager-Log-File")

    let set: RouteSet
    private let followers = FollowerPlaces(most: mostFollowers)

    func add(to router: RouteSet.Routes) {
        router.get("/api/v1/tasks/{id}/log") { request, context in
            try await log(try RouteSet.id(context), request, context.access)
        }
    }

    private func log(_ id: String, _ request: Request, _ access: Access?) async throws -> Response {
        let asked = try await AskedMoment(request, set)
        let follows = try RouteSet.flag(request, "follow")
        if follows, asked.moment != .now {
            throw Problem(.badRequest, "follow=true shows what comes; at= and seq= a moment that does not change")
        }
        let lines = try RouteSet.number(request, "tail", 0...Self.mostLines)
        let start = try RouteSet.number(request, "offset", 0...Int(Int64.max))
        if lines != nil, start != nil { throw Problem(.badRequest, "give tail or offset, not both") }
        let file = RouteSet.text(request, "file")
        if let file, !file.isEmpty, start == nil { throw Problem(.badRequest, "file goes with offset, a byte of it") }
        let place = try Place(
            id, in: try await asked.state(), try RouteSet.number(request, "attempt", 1...4_294_967_295))
        let data = asked.loaded.data
        let opened = await onThread(named: "log") {
            Result { () throws(FileError) -> AttemptLog? in
                var log = try place.open(in: data)
                if let lines { try log?.skip(toLastLines: lines) }
                log?.staysInFile = file != nil
                if let start, let file, !file.isEmpty {
                    try log?.resume(file, at: Int64(start))
                } else if let start {
                    try log?.skip(toByte: Int64(start))
                }
                return log
            }
        }
        let found: AttemptLog?
        do throws(FileError) { found = try opened.get() } catch { throw place.refusal(error) }
        guard let log = found else { throw Problem(.notFound, try await place.missing(asked)) }
        var headers: HTTPFields = [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"]
        asked.note(&headers)
        if let name = Self.attemptName { headers[name] = "\(log.attempt)" }
        if let name = Self.offsetName { headers[name] = "\(log.offset)" }
        if let name = Self.fileName { headers[name] = try log.fileID() }
        // Nobody would end the following of an answer without body.
        guard follows, request.method != .head else {
            return StreamedAnswer.response(to: request, headers: headers) { bridge in
                var log = log
                try Self.send(&log, bridge)
            }
        }
        return try follow(log, id, asked.loaded.processor, request, headers, access)
    }

    private func follow(
        _ log: AttemptLog, _ id: String, _ processor: CommandProcessor, _ request: Request, _ headers: HTTPFields,
        _ access: Access?
    ) throws -> Response {
        guard let place = followers.enter() else {
            throw Problem(
                .tooManyRequests, "\(Self.mostFollowers) clients follow logs already; try again later")
        }
        let gate = DispatchGate()
        return StreamedAnswer.response(to: request, headers: headers, access: access) { bridge in
            var log = log
            while true {
                // First the attempt, then the file: what it wrote before its end is sent.
                let hasEnded = Self.hasEnded(id, log.attempt, processor)
                try Self.send(&log, bridge)
                guard !hasEnded, !log.isAtEndOfFile else { return }
                gate.wait(for: Self.pause)
                // Broken off, not ended: who follows comes again.
                guard !bridge.isGone else { throw ChunkBridge.Abandoned() }
            }
        } interrupted: {
            gate.open()
        } ended: {
            gate.open()
            withExtendedLifetime(place) {}
        }
    }

    /// Sends what is there.
    private static func send(_ log: inout AttemptLog, _ bridge: ChunkBridge) throws {
        while case let bytes = try log.next(), !bytes.isEmpty { try bridge.emit(bytes) }
    }

    /// Whether an attempt does not run any more, durably.
    private static func hasEnded(_ id: String, _ attempt: UInt32, _ processor: CommandProcessor) -> Bool {
        let read = processor.read { state -> Bool in
            guard let number = state.taskNumber(id) else { return true }
            let line = state.taskLine(number)
            return line.status != .assigned || line.attempt != attempt
        }
        return read.answer && processor.writer.durable >= read.position
    }

    /// Where the logs of a task should stand.
    private struct Place: Sendable {
        let task: String
        /// The attempts that may be shown, the newest first.
        let attempts: [UInt32]
        let directory: String

        /// Throws 404 for a task or an attempt that does not stand.
        init(_ task: String, in state: ManagerState, _ wanted: Int?) throws {
            guard let number = state.taskNumber(task), let context = state.resultContext(of: task) else {
                throw Problem(.notFound, "there is no task \(task)")
            }
            let latest = state.taskLine(number).attempt
            guard latest > 0 else {
                throw Problem(.notFound, "task \(task) was never assigned: there is no log yet")
            }
            if let wanted, wanted > latest {
                throw Problem(.notFound, "task \(task) has no attempt \(wanted): its latest is \(latest)")
            }
            self.task = task
            directory = context.directories.first ?? ""
            let oldest = latest > LogRoutes.mostAttempts ? latest - LogRoutes.mostAttempts : 1
            attempts = wanted.map { [UInt32($0)] } ?? Array((oldest...latest).reversed())
        }

        /// Opens the newest log; nil where there is none.
        func open(in data: DataDirectory) throws(FileError) -> AttemptLog? {
            try AttemptLog(of: task, attempts: attempts, directory: directory) { path throws(FileError) in
                try LocalFileSystem().open(path, beneath: data.path)
            }
        }

        /// What is said of a log that may not be shown.
        func refusal(_ error: FileError) -> any Error {
            guard error.leadsAstray else { return error }
            return Problem(
                .notFound,
                "the log of task \(task) below \(directory)/logs is no ordinary file of the data directory: only such "
                    + "files are shown; 'manager logs \(task)' on the manager's machine follows links")
        }

        /// Where the log of the newest attempt stands, as it does not stand here.
        func missing(_ asked: AskedMoment) async throws -> String {
            let (task, newest) = (task, attempts.first ?? 0)
            let events = try await asked.read("log") { reader, moment throws(JournalError) in
                try TaskEvents(of: task, in: reader.data, upTo: try reader.limit(of: moment))
            }
            var (worker, host): (String?, String?)
            for bytes in events.lines {
                bytes.withUnsafeBufferPointer { buffer in
                    guard let line = LogLine(buffer) else { return }
                    do throws(EventError) {
                        let event = try EventView(line)
                        guard event.attempt == newest else { return }
                        worker = event.worker.map { String(decoding: $0, as: UTF8.self) } ?? worker
                        host = event.host.map { String(decoding: $0, as: UTF8.self) } ?? host
                    } catch { return }  // It was folded already: this cannot be.
                }
            }
            let path = AttemptLog.path(task, newest, directory)
            let whose = worker.map { "worker \($0)" } ?? "its worker"
            let machine = host.map { "host \($0)" } ?? "whichever machine it runs on"
            return
                "there is no log of attempt \(newest) of task \(task) in this manager's data directory: \(whose) keeps "
                + "it on \(machine) as \(path) below its --dir, if 'manager worker' or 'manager run' started the program"
        }
    }
}

extension FileError {
    /// True for a path that leads out of its directory, in a circle, or to what is no ordinary file.
    fileprivate var leadsAstray: Bool { [EXDEV, EINVAL, ELOOP, ENXIO].contains(errno) }
}
