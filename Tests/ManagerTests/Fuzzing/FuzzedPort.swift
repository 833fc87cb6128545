import EventLog
import Foundation
import Logging
import Projections
import Synchronization
import TestSupport

@testable import manager

/// A manager with a workers' port on a disk in memory: everything behind the port is real, but for the disk.
final class FuzzedPort: Sendable {
    /// Tasks that wait for whoever claims them, with the ids `t0`, `t1` ….
    private static let tasks = 64
    /// The longest that a client may wait for the end of its connection, in milliseconds.
    private static let patience: Int32 = 20_000

    private let data: DataDirectory
    private let processor: CommandProcessor
    private let listener: WorkerListener
    private let port: UInt16

    init() throws {
        let files = SimulatedDisk().process()
        try files.createDirectories("/data")
        data = DataDirectory("/data", on: files)
        let results = ResultWriter(ResultFiles(dataDirectory: "/data", on: files), report: { _ in })
        let loaded = try Startup(data: data, segmentBytes: 1 << 20, warn: { _ in }).run(results: results)
        let publisher = Publisher(durable: loaded.opened.last)
        let writer = LogWriter(
            SimulatedStore(loaded.store), opened: loaded.opened, segmentBytes: 1 << 20,
            onDurable: { publisher.advance(to: $0) },
            onFailure: { preconditionFailure("the journal cannot be written: \($0)") })
        let processor = CommandProcessor(
            state: loaded.state, writer: writer, publisher: publisher, results: results, poisonAfter: 5,
            quarantineAfter: 0, clock: .system, fileSystem: files)
        let specs = (0..<Self.tasks).map { number in
            TaskSpec(
                id: "t\(number)", phase: "p", config: Array(#"{"x":\#(number)}"#.utf8), outputDirectories: ["results_p"]
            )
        }
        _ = try processor.add(specs, actor: "test")
        guard let endpoint = Endpoint("127.0.0.1:0") else { throw FuzzFinding("no endpoint") }
        listener = try waiting {
            let quiet = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
            let listener = try await WorkerListener(
                endpoint, security: .loopback(quiet), limits: ServerLimits(), warn: { _ in })
            try await listener.start(processor)
            return listener
        }
        guard let port = Endpoint(listener.address)?.port else { throw FuzzFinding("no port") }
        self.port = UInt16(port)
        self.processor = processor
    }

    /// Sends all bytes, shuts its side and reads until the manager closes.
    func exchange(_ bytes: [UInt8], pieceBytes: Int) throws -> [UInt8] {
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0)
        defer { close(client) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 || errno == EINPROGRESS else { throw FuzzFinding("no connection: errno \(errno)") }
        var (sent, answers) = (0, [UInt8]())
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            var events = pollfd(
                fd: client, events: Int16(POLLIN) | (sent <= bytes.count ? Int16(POLLOUT) : 0), revents: 0)
            let ready = poll(&events, 1, Self.patience)
            if ready < 0, errno == EINTR { continue }  // the fuzzer's own alarm
            guard ready > 0 else { throw FuzzFinding("the manager neither answers nor closes") }
            if events.revents & Int16(POLLOUT) != 0, sent <= bytes.count {
                let end = min(sent + pieceBytes, bytes.count)
                let count = bytes[sent..<end].withUnsafeBytes {
                    send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                if count > 0 { sent += count }
                if sent == bytes.count {
                    shutdown(client, Int32(SHUT_WR))
                    sent += 1
                } else if count < 0, errno != EAGAIN {
                    sent = bytes.count + 1
                }
            }
            guard events.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 else { continue }
            let count = recv(client, &piece, piece.count, 0)
            if count > 0 { answers += piece[..<count] } else if count == 0 || errno != EAGAIN { return answers }
        }
    }

    /// Closes the port. Throws where the journal gives another state than the manager had.
    func stop() throws {
        try waiting { [listener] in try await listener.stop() }
        processor.results.close()
        processor.writer.close()
        var replayed = ManagerState()
        try LogReader(data.journal).forEach { line throws(JournalError) in
            do throws(EventError) { try replayed.apply(line) } catch { throw .refused("\(error)") }
            return true
        }
        let live = processor.snapshot
        guard StateEncoder.bytes(replayed) == StateEncoder.bytes(live) else {
            throw FuzzFinding("the journal gives another state than the manager had at seq \(live.position)")
        }
    }
}

/// Runs something asynchronous to its end, on a thread that is not one of the pool's.
private func waiting<Answer: Sendable>(_ body: @escaping @Sendable () async throws -> Answer) throws -> Answer {
    let done = DispatchSemaphore(value: 0)
    let outcome = Mutex<Result<Answer, any Error>?>(nil)
    Task {
        do {
            let answer = try await body()
            outcome.withLock { $0 = .success(answer) }
        } catch { outcome.withLock { $0 = .failure(error) } }
        done.signal()
    }
    done.wait()
    guard let outcome = outcome.withLock({ $0 }) else { throw FuzzFinding("nothing came of it") }
    return try outcome.get()
}
