import Projections

/// A manager on the other end of a TCP connection, as a worker sees it. One slot's: its calls of a kind come one by one.
///
/// Three connections, for answers keep the order of requests and a claim or a heartbeat may wait: one for claims, one for
/// ends, one for heartbeats. Each is opened when it is needed and again after it failed.
struct TCPPort: WorkerPort {
    private let claims: WorkerLane
    private let ends: WorkerLane
    private let heartbeats: WorkerLane
    private let gpu: Int?

    /// `gpu`: the number that claims tell; nil for none.
    init(_ address: ManagerAddress, token: String?, gpu: Int? = nil) {
        claims = WorkerLane(address, token: token)
        ends = WorkerLane(address, token: token)
        heartbeats = WorkerLane(address, token: token)
        self.gpu = gpu
    }

    func claim(
        worker: String, count: Int, wait: Duration, heartbeat: Duration
    ) async throws(WorkerPortError) -> [ClaimedTask] {
        let waitSeconds = min(60, wait.seconds)
        var line = WorkerLine("claim", worker: worker)
        line.number("count", Double(count))
        line.number("wait_s", waitSeconds)
        line.number("heartbeat_s", heartbeat.seconds)
        line.string("host", hostName())
        if let gpu { line.number("gpu", Double(gpu)) }
        // What an answer that never came, or a process that is gone, was given is lost: it goes to somebody else.
        if await !claims.hasAnswered { line.json("restart", Array("true".utf8)) }
        let answer: [UInt8]
        do throws(ConnectionFailure) {
            answer = try await claims.ask(
                line.bytes, within: .seconds(waitSeconds + 30), whenCancelled: .finishAsking)
        } catch {
            if Task.isCancelled { return [] }
            throw .unavailable(error.description)
        }
        switch WorkerLine.tasks(answer) {
        case .success(let tasks): return tasks
        case .failure(let problem): throw .unavailable(problem.description)
        }
    }

    func complete(
        worker: String, task: String, attempt: UInt32, result: [UInt8]?, report: RunReport
    ) async -> DeliveryAnswer {
        var item = WorkerLine.item(task, attempt)
        if let result { item.json("result", result) }
        item.report(report)
        return await deliver("complete", worker, item)
    }

    func fail(
        worker: String, task: String, attempt: UInt32, error: String, report: RunReport
    ) async -> DeliveryAnswer {
        var item = WorkerLine.item(task, attempt)
        item.string("error", error)
        item.report(report)
        return await deliver("fail", worker, item)
    }

    func giveBack(worker: String, task: String, attempt: UInt32) async -> DeliveryAnswer {
        await deliver("return", worker, WorkerLine.item(task, attempt))
    }

    private func deliver(_ type: String, _ worker: String, _ item: WorkerLine) async -> DeliveryAnswer {
        var line = WorkerLine(type, worker: worker)
        line.json("items", [91] + item.bytes + [93])
        do throws(ConnectionFailure) {
            // An end that is on its way is waited for, whatever else ends.
            let answer = try await ends.ask(line.bytes, within: .seconds(60), whenCancelled: .nothing)
            switch WorkerLine.items(answer) {
            case .success(let items):
                guard let first = items.first else { return .unavailable("the manager's answer is empty") }
                return first.delivery
            case .failure(let problem): return .unavailable(problem.description)
            }
        } catch { return .unavailable(error.description) }
    }

    func heartbeat(worker: String, attempts: [AttemptReference], wait: Duration) async -> [HeartbeatAnswer] {
        await heartbeat(worker: worker, attempts: attempts, progress: nil, wait: wait)
    }

    func heartbeat(
        worker: String, attempts: [AttemptReference], progress: Double?, wait: Duration
    ) async -> [HeartbeatAnswer] {
        var line = WorkerLine("heartbeat", worker: worker)
        var items: [UInt8] = [91]
        for (index, attempt) in attempts.enumerated() {
            if index > 0 { items.append(44) }
            var item = WorkerLine.item(attempt.task, attempt.attempt)
            if let progress { item.number("progress", progress) }
            items += item.bytes
        }
        line.json("items", items + [93])
        line.number("wait_s", min(60, wait.seconds))
        do throws(ConnectionFailure) {
            let answer = try await heartbeats.ask(
                line.bytes, within: wait + .seconds(30), whenCancelled: .close)
            guard case .success(let items) = WorkerLine.items(answer), items.count == attempts.count else {
                return attempts.map { _ in .goOn }
            }
            return items.map(\.heartbeat)
        } catch {
            return attempts.map { _ in .goOn }  // the manager is away: programs run on
        }
    }
}

/// One connection that is opened when it is needed.
private actor WorkerLane {
    /// What a cancelled call does to the connection.
    enum Cancelling: Sendable { case nothing, finishAsking, close }

    private let address: ManagerAddress
    private let token: String?
    private var connection: FastFormConnection?
    /// True once an answer has come since this process, or the last failure, began.
    private(set) var hasAnswered = false

    init(_ address: ManagerAddress, token: String?) {
        self.address = address
        self.token = token
    }

    func ask(
        _ line: [UInt8], within limit: Duration, whenCancelled: Cancelling
    ) async throws(ConnectionFailure) -> [UInt8] {
        let connection = try await open()
        do throws(ConnectionFailure) {
            let outcome: Result<[UInt8], ConnectionFailure> = await withTaskCancellationHandler {
                do throws(ConnectionFailure) { return .success(try await connection.ask(line, within: limit)) } catch {
                    return .failure(error)
                }
            } onCancel: {
                switch whenCancelled {
                case .nothing: return
                case .finishAsking: connection.finishAsking()
                case .close: connection.close()
                }
            }
            if Task.isCancelled, whenCancelled != .nothing { drop(connection) }
            let answer = try outcome.get()
            hasAnswered = true
            return answer
        } catch {
            drop(connection)
            throw error
        }
    }

    private func open() async throws(ConnectionFailure) -> FastFormConnection {
        if let connection { return connection }
        let opened = try await FastFormConnection.open(
            try await address.destination(token: token), trust: address.trust)
        if let token {
            var line = WorkerLine("auth")
            line.string("token", token)
            let answer = try await opened.ask(line.bytes, within: .seconds(10))
            if let refusal = WorkerLine.error(answer) {
                opened.close()
                throw ConnectionFailure(description: "the manager refuses the token: \(refusal)")
            }
        }
        connection = opened
        return opened
    }

    private func drop(_ failed: FastFormConnection) {
        // An answer may have been on its way.
        hasAnswered = false
        failed.close()
        if connection === failed { connection = nil }
    }
}
