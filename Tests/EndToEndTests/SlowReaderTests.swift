import Foundation
import Glibc
import TestSupport
import Testing

/// HTTP clients that take large answers slowly, in part, or not at all.
@Suite("Large answers over HTTP and how they are taken", .serialized)
struct SlowReaderTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    /// A manager whose whole state has some `megabytes`.
    private func manager(_ megabytes: Int, _ flags: [String] = []) throws -> RunningManager {
        let manager = try RunningManager(scratch.path, flags)
        let client = try LineClient(port: manager.workers)
        let config = #"{"x":"\#(String(repeating: "y", count: 1_000_000))"}"#
        for number in 0..<megabytes {
            let added = client.ask(
                #"{"type":"add","tasks":[{"task_id":"t\#(number)","phase":"p","config":\#(config)}]}"#)
            #expect(added == #"{"type":"added","added":1,"existing":0}"#)
        }
        return manager
    }

    /// Asks for the whole state; the answer's head, and how many bytes of the body came.
    private func state(
        _ manager: RunningManager, connection: String = "close", half: Bool = false, pace: UInt32 = 0
    ) throws -> (length: Int, got: Int) {
        let caller = try HTTPCaller(manager.http)
        caller.send("GET", "/state", headers: ["Connection": connection])
        if half { caller.shutSending() }
        let length = caller.head().headers["content-length"].flatMap { Int($0) } ?? -1
        return (length, caller.count(length, pace: pace))
    }

    @Test("a client that shuts its side gets all of it", arguments: ["close", "keep-alive"])
    func halfClosed(connection: String) throws {
        let manager = try manager(12)
        let (length, got) = try state(manager, connection: connection, half: true)
        #expect(length > 12_000_000 && got == length)
        #expect(manager.stop() == 0)
    }

    @Test("who takes it slowly, but goes on, gets all of it", arguments: ["close", "keep-alive"])
    func slow(connection: String) throws {
        let manager = try manager(10, ["--request-timeout", "300ms", "--idle-timeout", "300ms"])
        // Some 2 MB a second: in 300 ms less than the system would buffer of it.
        let (length, got) = try state(manager, connection: connection, pace: 32)
        #expect(length > 10_000_000 && got == length)
        #expect(manager.stop() == 0)
    }

    @Test("on a client that takes nothing the manager closes, shut or not", arguments: [false, true])
    func nothing(half: Bool) async throws {
        let manager = try manager(12, ["--request-timeout", "300ms"])
        let caller = try HTTPCaller(manager.http)
        caller.send("GET", "/state", headers: ["Connection": "keep-alive"])
        if half { caller.shutSending() }
        let one = #"manager_connections{port="http"} 1"# + "\n"
        #expect(
            try await eventually { try HTTPCaller.raw(manager.http, "GET", "/metrics").body.contains(one) })
        let length = caller.head().headers["content-length"].flatMap { Int($0) } ?? -1
        #expect(length > 12_000_000 && caller.count(length) < length)
        #expect(manager.stop() == 0)
    }

    @Test("a manager that is stopped does not wait for who asks on and on", .timeLimit(.minutes(2)))
    func asking() throws {
        let manager = try manager(1)
        let (url, asks, ended) = (manager.http, DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        Thread.detachNewThread {
            defer { ended.signal() }
            guard let caller = try? HTTPCaller(url) else { return }
            func ask() { caller.send("GET", "/status", headers: ["Connection": "keep-alive"]) }
            for _ in 0..<4 { ask() }
            while caller.answer().status == 200 {
                ask()
                asks.signal()
            }
        }
        asks.wait()
        #expect(manager.stop() == 0)
        ended.wait()
    }

    @Test("nor for a request whose body does not come: it is told so", .timeLimit(.minutes(2)))
    func bodyless() throws {
        let manager = try manager(1, ["--request-timeout", "1h"])
        let caller = try HTTPCaller(manager.http)
        caller.send("POST", "/tasks", "{", headers: ["Content-Length": "1000"])
        // Its head is there when this one's answer is.
        #expect(try HTTPCaller.raw(manager.http, "GET", "/healthz").status == 200)
        #expect(manager.stop() == 0)
        #expect(caller.answer().status == 503)
    }

    @Test("nor for who takes nothing", .timeLimit(.minutes(2)))
    func stopped() throws {
        let manager = try manager(12, ["--request-timeout", "1h"])
        let caller = try HTTPCaller(manager.http)
        caller.send("GET", "/state", headers: ["Connection": "keep-alive"])
        caller.shutSending()
        #expect(caller.head().status == 200)
        #expect(manager.stop() == 0)
    }
}
