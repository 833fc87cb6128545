import EventLog
import NIOCore
import Projections

/// The answer of a call that went well, and what must be true before it may leave.
struct QuickAnswer {
    let request: QuickRequest
    let processor: CommandProcessor
    let actor: String
    /// The request's id.
    let id: String
    /// The JSON; nil for 204.
    private(set) var body: ByteBuffer?
    /// What must be durable first.
    private(set) var position: LogPosition
    /// The row that must be written behind that.
    var row: OwedRow?
    /// The tasks that it hands out; nil where there are none.
    private(set) var handedOut: HandedOut?

    /// Decides a request. Nil where it is refused, or must wait: nothing has happened then that would have to be answered.
    /// Who calls it sees to it that what it has written is committed.
    init?(to request: QuickRequest, _ bytes: ByteBuffer, _ processor: CommandProcessor, actor: String) {
        (self.request, self.processor, self.actor) = (request, processor, actor)
        id = RequestLog.id(given: request.id)
        do {
            let read = try bytes.withUnsafeReadableBytes { raw in
                try raw.withMemoryRebound(to: UInt8.self) { text in
                    request.call == .claim
                        ? Read.claim(try ClaimBody(text, key: nil)) : Read.report(try ReportBody(text))
                }
            }
            switch read {
            case .claim(let wanted):
                guard
                    case .tasks(let tasks, let position) = try processor.claim(
                        wanted.request, actor: actor, willCommit: true)
                else { return nil }
                if tasks.isEmpty, wanted.waitSeconds > 0 { return nil }
                self.position = position
                if !tasks.isEmpty {
                    handedOut = HandedOut(tasks, to: wanted.request.worker, processor, actor)
                    body = ByteBuffer(bytes: ClaimRoutes.json(tasks))
                }
            case .report(let report):
                guard let settled = try Self.settle(request, report, processor, actor) else { return nil }
                (position, row) = (settled.position, settled.row)
                body = ByteBuffer(bytes: settled.json)
            }
        } catch { return nil }  // The router meets the same, and says so.
    }

    private enum Read {
        case claim(ClaimBody)
        case report(ReportBody)
    }

    private static func settle(
        _ request: QuickRequest, _ body: ReportBody, _ processor: CommandProcessor, _ actor: String
    ) throws(Rejection) -> (json: [UInt8], position: LogPosition, row: OwedRow?)? {
        let decided: CommandProcessor.Decided<CommandProcessor.Reported>
        switch request.call {
        case .claim: return nil
        case .complete:
            decided = try processor.complete(
                request.task, by: body.speaker, result: body.result, actor: actor, provenance: body.provenance,
                willCommit: true)
        case .fail:
            guard let error = body.error else { return nil }
            decided = try processor.fail(
                request.task, by: body.speaker, error: error, actor: actor, provenance: body.provenance,
                willCommit: true)
        case .takeBack:
            decided = try processor.takeBack(request.task, by: body.speaker, actor: actor, willCommit: true)
        case .heartbeat:
            let (isToStop, position) = try body.beat(request.task, processor)
            return (ReportRoutes.json(isToStop: isToStop), position, nil)
        }
        guard decided.answer.ignored == nil else { return nil }
        return (ReportRoutes.json(decided.answer), decided.position, decided.answer.row)
    }
}
