import EventLog
import HTTPTypes
import Hummingbird
import Projections

/// `GET /results?phase=`: the rows of all completions with results, a JSON array with one row a line.
struct ResultRoutes: Sendable {
    private static let pieceBytes = 64 << 10

    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        router.get("/api/v1/results") { request, _ in try await results(request) }
    }

    private func results(_ request: Request) async throws -> Response {
        let asked = try await AskedMoment(request, set)
        let phase = RouteSet.text(request, "phase")
        // What a row tells of its task never changes, so the state as it is serves every moment.
        let state = asked.loaded.processor.read { $0 }.answer
        let listing = ResultListing(journal: asked.loaded.data.journal, phase: phase)
        var headers: HTTPFields = [.contentType: "application/json"]
        asked.note(
            &headers,
            try await asked.read("results") { reader, _ throws(JournalError) in
                guard try reader.data.journal.historyBegins() > LogPosition(1) else { return nil }
                return DiscardedResults.words(try DiscardNote.told(reader.data))
            })
        return StreamedAnswer.response(to: request, headers: headers) { bridge in
            var piece = Array("[".utf8)
            var isFirst = true
            try listing.forEach(upTo: asked.bounded, state) { entry in
                if !isFirst { piece.append(contentsOf: ",\n".utf8) }
                isFirst = false
                entry.appendJSON(to: &piece)
                if piece.count >= Self.pieceBytes {
                    try bridge.emit(piece)
                    piece.removeAll(keepingCapacity: true)
                }
            }
            piece.append(contentsOf: "]\n".utf8)
            try bridge.emit(piece)
        }
    }
}
