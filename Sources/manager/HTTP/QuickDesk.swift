import EventLog
import Glibc
import HTTPTypes
import NIOCore
import Synchronization

/// What the quick lanes of all connections have in common: who may speak, and how answers look. Decides as the router's
/// doors do, by the same functions.
final class QuickDesk: Sendable {
    /// Who decides; nil while the journal is replayed.
    private let loaded: @Sendable () -> CommandProcessor?
    private let gatekeeper: Gatekeeper
    private let security: ServerSecurity
    private let log: AccessLog?
    private let counts: RequestCounts
    private let limits: ServerLimits
    private let loops = Mutex<[ObjectIdentifier: NIOLoopBound<WorkerLoop>]>([:])
    private let date = Mutex<(second: time_t, text: String)>((0, ""))

    init(
        gatekeeper: Gatekeeper, security: ServerSecurity, log: AccessLog?, counts: RequestCounts, limits: ServerLimits,
        loaded: @escaping @Sendable () -> CommandProcessor?
    ) {
        self.gatekeeper = gatekeeper
        self.security = security
        self.log = log
        self.counts = counts
        self.limits = limits
        self.loaded = loaded
    }

    /// The request, where it is one for the quick lane.
    func recognise(_ head: HTTPRequest) -> QuickRequest? {
        QuickRequest(head, mostBodyBytes: limits.bodyBytes)
    }

    /// Who decides; nil where the router must say why nobody does.
    func processor() -> CommandProcessor? {
        guard let processor = loaded(), processor.readOnly == nil else { return nil }
        return processor
    }

    /// The loop that commits for the connections of an event loop. Called on that loop.
    func loop(_ eventLoop: any EventLoop, _ processor: CommandProcessor) -> WorkerLoop {
        let key = ObjectIdentifier(eventLoop)
        if let known = loops.withLock({ $0[key] }), known.value.processor === processor { return known.value }
        let loop = WorkerLoop(eventLoop, processor)
        let box = NIOLoopBound(loop, eventLoop: eventLoop)
        loops.withLock { $0[key] = box }
        return loop
    }

    /// Who asks, for the journal; nil where the doors must look more closely.
    func actor(of request: QuickRequest, _ guest: QuickGuest) -> String? {
        if guest.host != request.host {
            guard gatekeeper.answers(to: request.host, local: guest.local) else { return nil }
            guest.host = request.host
        }
        guard let tokens = security.tokens else { return RouteSet.actor(request.actor) }
        guard security.logins.secondsToWait(guest.peer) == nil, let text = request.authorization else { return nil }
        let generation = tokens.generation
        if let known = guest.login, known.text == text, known.generation == generation { return known.name }
        guard let token = TokenGate.bearer(text), let caller = tokens.caller(withDigest: TokenDigest(of: token)),
            caller.role >= .worker
        else { return nil }
        guest.login = (text, generation, caller.name)
        return caller.name
    }

    /// The head of an answer.
    func head(_ answer: QuickAnswer) -> HTTPResponse {
        var fields = AnswerHeaders.usual
        if let body = answer.body {
            fields.append(HTTPField(name: .contentType, value: "application/json"))
            fields.append(HTTPField(name: .contentLength, value: "\(body.readableBytes)"))
        }
        if let name = RequestLog.idName { fields.append(HTTPField(name: name, value: answer.id)) }
        fields.append(HTTPField(name: .date, value: dateText()))
        return HTTPResponse(status: answer.body == nil ? .noContent : .ok, headerFields: fields)
    }

    /// An answer was written.
    func note(_ answer: QuickAnswer, _ guest: QuickGuest?) {
        let status = answer.body == nil ? 204 : 200
        counts.note(status)
        guard let log else { return }
        log.write(
            AccessLog.Entry(
                id: answer.id, peer: guest?.peer ?? "?", method: "POST", path: answer.request.head.path ?? "",
                status: status, bytes: answer.body?.readableBytes ?? 0,
                seconds: (ContinuousClock.now - answer.request.began).seconds,
                actor: security.tokens == nil ? nil : answer.actor))
    }

    /// Now, as HTTP writes it (RFC 9110, section 5.6.7).
    private func dateText() -> String {
        let now = time(nil)
        return date.withLock { known in
            if known.second != now { known = (now, HTTPDate.text(now)) }
            return known.text
        }
    }
}
