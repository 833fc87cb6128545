import EventLog
import HTTPTypes
import Hummingbird
import Projections

/// `GET /events`: the journal's lines, or Server-Sent Events; with `follow=true` also what comes.
///
/// `id:` of a Server-Sent Event is its seq; `Last-Event-ID: N` goes on after N. A follower that takes nothing for long is
/// cut off (`ConnectionWatch`), and goes on by its position.
struct EventRoutes: Sendable {
    private static let pieceBytes = 64 << 10

    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        router.get("/api/v1/events") { request, context in try await events(request, context) }
    }

    private func events(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let isSSE = request.headers[.accept]?.contains("text/event-stream") ?? false
        let asked = try await AskedMoment(request, set)
        let loaded = asked.loaded
        var wanted = try Wanted(request, isSSE: isSSE)
        if wanted.follows, asked.moment != .now {
            throw Problem(.badRequest, "follow=true shows what comes; at= and seq= a moment that does not change")
        }
        let processor = loaded.processor
        if let phase = RouteSet.text(request, "phase") {
            wanted.filter.phase = PhaseFilter(phase) { id in processor.read { $0.phase(ofTask: id) }.answer }
        }
        let limit = min(
            asked.last,
            try await asked.read("events") { reader, moment throws(JournalError) in
                try reader.limit(of: moment)
            })
        if let since = wanted.filter.since {
            let before = try await asked.read("events") { reader, _ throws(JournalError) in
                try reader.data.journal.lastPosition(notAfter: LogTime(microseconds: since.microseconds - 1))
            }
            wanted.from = max(wanted.from, before.next)
        }
        let type = isSSE ? "text/event-stream" : "application/x-ndjson"
        var headers: HTTPFields = [.contentType: type, .cacheControl: "no-store"]
        asked.note(&headers)
        let journal = loaded.data.journal
        // Nobody would end the following of an answer without body.
        guard wanted.follows, request.method != .head else {
            return StreamedAnswer.response(to: request, headers: headers) { [wanted] bridge in
                var pieces = EventPieces(isSSE: isSSE, filter: wanted.filter)
                var failure: (any Error)?
                do throws(JournalError) {
                    try LineFollower(journal, from: wanted.from).forEach(upTo: limit) { line throws(JournalError) in
                        do {
                            pieces.add(line, try EventView(line))
                            if pieces.count >= Self.pieceBytes { try bridge.emit(pieces.take()) }
                        } catch { failure = error }
                        return failure == nil
                    }
                } catch {
                    // What is good comes first, then why there is no more.
                    pieces.end(with: error)
                    failure = error
                }
                if pieces.count > 0 { try bridge.emit(pieces.take()) }
                if let failure { throw failure }
            }
        }
        let feed = loaded.feed
        guard let place = feed.enter() else {
            throw Problem(.tooManyRequests, "\(EventFeed.most) clients follow the events already; try again later")
        }
        let writer = loaded.processor.writer
        let stream = EventStream(
            feed: feed, wish: wanted.wish(phase: RouteSet.text(request, "phase")), filter: wanted.filter,
            journal: journal, durable: { writer.durable })
        let from = wanted.from
        return StreamedAnswer.followed(request, headers: headers, access: context.access) { writer in
            try await stream.run(from: from, to: &writer)
        } interrupted: {
            feed.stop()
        } ended: {
            withExtendedLifetime(place) {}
        }
    }

    /// What a request asks for.
    private struct Wanted: Sendable {
        var from = LogPosition(1)
        var filter = EventFilter()
        var follows = false
        let isSSE: Bool

        init(_ request: Request, isSSE: Bool) throws {
            self.isSSE = isSSE
            if let text = RouteSet.text(request, "from") {
                guard let seq = UInt64(text) else { throw Problem(.badRequest, "from=\(text) is no seq") }
                from = LogPosition(max(1, seq))
            }
            if let name = HTTPField.Name("Last-Event-ID"), let text = request.headers[name] {
                guard let seq = UInt64(text), seq < .max else {
                    throw Problem(.badRequest, "Last-Event-ID: \(text) is no seq")
                }
                from = LogPosition(seq + 1)
            }
            if let since = RouteSet.text(request, "since") {
                filter.since = try MomentText.since(since, now: LogTime.now())
            }
            filter.types = Set((RouteSet.text(request, "type") ?? "").split(separator: ",").map(String.init))
            if let problem = EventTypes.problem(filter.types.sorted()) { throw Problem(.badRequest, problem) }
            filter.task = RouteSet.text(request, "task").map { Array($0.utf8) }
            filter.worker = RouteSet.text(request, "worker").map { Array($0.utf8) }
            follows = try RouteSet.flag(request, "follow")
        }

        /// What it has in common with those who ask for the same.
        func wish(phase: String?) -> EventFeed.Wish {
            EventFeed.Wish(
                isSSE: isSSE, types: filter.types.sorted(), task: filter.task, worker: filter.worker, phase: phase,
                since: filter.since)
        }
    }
}
