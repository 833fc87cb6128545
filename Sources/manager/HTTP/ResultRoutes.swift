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
        let loaded = try set.ready()
        let phase = RouteSet.text(request, "phase")
        let read = loaded.processor.read { $0 }
        await loaded.processor.publisher.durable(read.position)
        let listing = ResultListing(journal: loaded.data.journal, phase: phase)
        return StreamedAnswer.response(to: request, headers: [.contentType: "application/json"]) { bridge in
            var piece = Array("[".utf8)
            var isFirst = true
            try listing.forEach(upTo: .position(read.position), read.answer) { entry in
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
