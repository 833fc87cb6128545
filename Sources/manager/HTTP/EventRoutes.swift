import EventLog
import HTTPTypes
import Hummingbird
import Projections

/// `GET /events`: the journal's lines, or Server-Sent Events; with `follow=true` also what comes.
///
/// `id:` of a Server-Sent Event is its seq; `Last-Event-ID: N` goes on after N. A follower that takes nothing for 20 s is
/// cut off, and goes on by its position.
struct EventRoutes: Sendable {
    /// Seconds between signs of life to a follower of Server-Sent Events.
    private static let keepAliveSeconds = 10
    private static let pieceBytes = 64 << 10

    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        router.get("/api/v1/events") { request, _ in try await events(request) }
    }

    private func events(_ request: Request) async throws -> Response {
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
        let headers: HTTPFields = [.contentType: type, .cacheControl: "no-store"]
        let journal = loaded.data.journal
        // Nobody would end the following of an answer without body.
        guard wanted.follows, request.method != .head else {
            return StreamedAnswer.response(to: request, headers: headers) { [wanted] bridge in
                var sender = Sender(wanted, bridge)
                try sender.send(LineFollower(journal, from: wanted.from), upTo: limit)
            }
        }
        guard let (id, gate) = loaded.feed.subscribe() else {
            throw Problem(.tooManyRequests, "\(EventFeed.most) clients follow the events already; try again later")
        }
        let writer = loaded.processor.writer
        return StreamedAnswer.response(to: request, headers: headers) { [wanted] bridge in
            var sender = Sender(wanted, bridge)
            let follower = LineFollower(journal, from: wanted.from)
            if isSSE { try bridge.emit(Array(": following\n\n".utf8)) }
            while !bridge.isGone {
                let before = follower.next
                try sender.send(follower, upTo: writer.durable)
                guard follower.next == before else { continue }
                gate.wait(seconds: Self.keepAliveSeconds)
                if isSSE, !bridge.isGone, follower.next > writer.durable { try bridge.emit(Array(":\n\n".utf8)) }
            }
        } interrupted: {
            gate.open()
        } ended: {
            loaded.feed.unsubscribe(id)
            gate.open()
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
    }

    /// Turns lines into pieces of the answer.
    private struct Sender {
        let wanted: Wanted
        let bridge: ChunkBridge
        var piece: [UInt8] = []

        init(_ wanted: Wanted, _ bridge: ChunkBridge) {
            self.wanted = wanted
            self.bridge = bridge
        }

        /// Sends what the follower shows up to a durable position.
        mutating func send(_ follower: LineFollower, upTo limit: LogPosition) throws {
            var failure: (any Error)?
            try follower.forEach(upTo: limit) { line throws(JournalError) in
                do {
                    let event = try EventView(line.body)
                    if wanted.filter.shows(line, event) { append(line) }
                    if piece.count >= EventRoutes.pieceBytes { try flush() }
                } catch { failure = error }
                return failure == nil
            }
            if let failure { throw failure }
            if !piece.isEmpty { try flush() }
        }

        private mutating func append(_ line: LogLine) {
            if wanted.isSSE {
                // No `event:` line: `onmessage` of a browser gets unnamed events only, and the type stands in the line.
                piece.append(contentsOf: "id: \(line.position)\ndata: ".utf8)
                piece.append(contentsOf: line.bytes)
                piece.append(contentsOf: [10, 10])
            } else {
                piece.append(contentsOf: line.bytes)
                piece.append(10)
            }
        }

        private mutating func flush() throws {
            try bridge.emit(piece)
            piece.removeAll(keepingCapacity: true)
        }
    }
}
