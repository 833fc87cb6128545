import EventLog
import HTTPTypes
import Hummingbird
import Projections

/// `GET /status`, `/workers` and `/state`: as it is, or as it was with `?at=TIME` or `?seq=N`.
struct MomentRoutes: Sendable {
    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        router.get("/api/v1/status") { request, _ in try await status(request) }
        router.get("/api/v1/workers") { request, _ in try await workers(request) }
        router.get("/api/v1/state") { request, _ in
            let asked = try await AskedMoment(request, set)
            let state = try await asked.state()
            let tag = EntityTag.of(state)
            if EntityTag.stands(tag, in: request) { return EntityTag.unchanged(tag) }
            var response = JSONAnswer.json(StateEncoder.bytes(state))
            response.headers[.eTag] = tag
            response.headers[.cacheControl] = "private, no-cache"
            return asked.noting(response)
        }
    }

    private func status(_ request: Request) async throws -> Response {
        let asked = try await AskedMoment(request, set)
        let address = asked.loaded.workerAddress
        if let live = asked.live {
            let now = asked.moment.clock(live.time)
            let isNow = asked.moment == .now
            let data = asked.loaded.data
            let disk =
                isNow ? try await onThread(named: "disk") { Result { try DiskUse(data, last: live.time) } }.get() : nil
            let damage = isNow ? asked.loaded.historyCheck?.outcome.damage : nil
            return asked.noting(
                JSONAnswer.json(
                    StatusJSON.bytes(
                        StatusSummary(live), now: now, workerAddress: address, disk: disk, damage: damage)))
        }
        let status = try await asked.read("status") { reader, moment throws(JournalError) in
            try reader.status(at: moment).summary
        }
        return JSONAnswer.json(
            StatusJSON.bytes(status, now: asked.moment.clock(status.time), workerAddress: address))
    }

    private func workers(_ request: Request) async throws -> Response {
        let asked = try await AskedMoment(request, set)
        // Heartbeats and progress are known of now alone.
        let live = asked.moment == .now ? asked.loaded.processor.live : LiveWorkers()
        return asked.noting(JSONAnswer.json(WorkersJSON.bytes(try await asked.state(), live: live)))
    }
}

/// The moment that a request asks for with `?at=TIME` or `?seq=N`, and what is needed to answer of it.
///
/// What the state as it is knows already is answered from it, everything else from the files. Either way all of it is
/// durable.
struct AskedMoment: Sendable {
    let loaded: HTTPService.Loaded
    /// What was asked for.
    let moment: Moment
    /// The state as it is, where the moment lies at its last event or later; else nil.
    let live: ManagerState?
    /// The last event when the request came, durable.
    let last: LogPosition

    /// Why the answer is not what the moment asks for: it lies beyond the journal's end; nil where it is.
    let warning: String?

    /// The field of an answer that says what is to be warned of.
    static let warningName = HTTPField.Name("Manager-Warning")

    /// Reads the query. Throws 400 for what is no moment, 410 for one in history that was discarded, 503 while the journal is
    /// replayed.
    init(_ request: Request, _ set: RouteSet) async throws {
        loaded = try set.ready()
        moment = try MomentText.moment(at: RouteSet.text(request, "at"), seq: RouteSet.text(request, "seq"))
        let read = loaded.processor.read { $0 }
        await loaded.processor.publisher.durable(read.position)
        last = read.position
        let isLive =
            switch moment {
            case .now: true
            case .position(let position): position >= read.position
            case .time(let time): read.answer.time.map { time >= $0 } ?? true
            }
        live = isLive ? read.answer : nil
        var warning: String?
        switch moment {
        case .position(let position) where position > last: warning = Terminal.beyondWords(last)
        case .time(let time) where time > LogTime.now(): warning = Terminal.beyondWords(last)
        default: break
        }
        self.warning = warning
        guard live == nil else { return }
        try await self.read("moment") { reader, moment throws(JournalError) in try reader.requireKept(moment) }
    }

    /// An answer with what is to be warned of.
    func noting(_ response: Response) -> Response {
        var response = response
        note(&response.headers)
        return response
    }

    /// Puts what is to be warned of, and maybe something more, into an answer's header fields.
    func note(_ headers: inout HTTPFields, _ more: String? = nil) {
        let words = [warning, more].compactMap(\.self)
        guard let name = Self.warningName, !words.isEmpty else { return }
        headers[name] = words.joined(separator: "; ")
    }

    /// The moment for readers of files: never beyond what was durable when the request came.
    var bounded: Moment { live == nil ? moment : .position(last) }

    /// Reads the files on a thread of its own.
    func read<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable (MomentReader, Moment) throws(JournalError) -> Value
    ) async throws -> Value {
        let (data, moment) = (loaded.data, bounded)
        return try await onThread(named: name) {
            Result { () throws(JournalError) in try body(MomentReader(data), moment) }
        }.get()
    }

    /// The state at the moment.
    func state() async throws -> ManagerState {
        if let live { return live }
        return try await read("replay") { reader, moment throws(JournalError) in try reader.state(at: moment).state }
    }
}
