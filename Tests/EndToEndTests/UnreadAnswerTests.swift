import Glibc
import TestSupport
import Testing

/// A client that asks on and on and reads no answer.
@Suite("Answers that nobody reads", .serialized)
struct UnreadAnswerTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    @Test("are kept within a bound: no more is read from the client until it takes them, and none is lost")
    func bounded() throws {
        let manager = try RunningManager(scratch.path)
        let client = try LineClient(port: manager.workers)
        // Its answer is larger than itself: what is wrong with each item.
        let items = Array(repeating: #"{"task_id":"none","attempt":1}"#, count: 100).joined(separator: ",")
        let request = #"{"type":"heartbeat","worker_id":"w","items":[\#(items)]}"# + "\n"
        let most = 64 << 20
        let sent = client.sendOnAndOn(request, mostBytes: most)
        #expect(sent < most, "the manager took \(sent) bytes of requests whose answers nobody read")
        // Others are served meanwhile.
        #expect(try LineClient(port: manager.workers).ask(#"{"type":"status"}"#) != nil)
        let whole = sent / request.utf8.count
        for number in 1...whole {
            guard let answer = client.line(), answer.hasPrefix(#"{"type":"done""#) else {
                Issue.record("answer \(number) of \(whole) is missing")
                break
            }
        }
        // The rest of the request that was cut, and one more: the connection goes on.
        let rest = request.utf8.dropFirst(sent % request.utf8.count)
        if sent % request.utf8.count > 0 {
            client.send(String(decoding: Array(rest), as: UTF8.self))
            #expect(client.line()?.hasPrefix(#"{"type":"done""#) == true)
        }
        #expect(client.ask(#"{"type":"status"}"#)?.hasPrefix(#"{"type":"status""#) == true)
        #expect(manager.stop() == 0)
    }

    @Test(
        "a client that shuts its side gets every answer, and then the end",
        arguments: [
            #"{"type":"complete","worker_id":"w","items":[{"task_id":"t","attempt":1,"result":{"acc":1}}]}"#,
            #"{"type":"claim","worker_id":"w","wait_s":60}"#,
            #"{"type":"claim","worker_id":"w","wait_s":60}"# + "\n{broken",
            #"{"type":"status"}"#,
        ])
    func halfClosed(requests: String) throws {
        let manager = try RunningManager(scratch.path)
        let first = try LineClient(port: manager.workers)
        _ = first.ask(#"{"type":"add","tasks":[{"task_id":"t","phase":"p","config":{}}]}"#)
        #expect(first.ask(#"{"type":"claim","worker_id":"w"}"#)?.contains(#""task_id":"t""#) == true)
        let client = try LineClient(port: manager.workers)
        client.send(requests + "\n")
        client.shutSending()
        for _ in requests.split(separator: "\n") { #expect(client.line() != nil) }
        #expect(client.line() == nil)
        #expect(manager.stop() == 0)
    }

    @Test("a client that shuts its side gets an answer of any size whole")
    func largeAnswer() throws {
        let manager = try RunningManager(scratch.path)
        let client = try LineClient(port: manager.workers)
        let config = #"{"x":"\#(String(repeating: "y", count: 900_000))"}"#
        for id in ["a", "b", "c", "d", "e"] {
            let added = client.ask(#"{"type":"add","tasks":[{"task_id":"\#(id)","phase":"p","config":\#(config)}]}"#)
            #expect(added == #"{"type":"added","added":1,"existing":0}"#)
        }
        client.send(#"{"type":"claim","worker_id":"w","count":5}"# + "\n")
        client.shutSending()
        let answer = client.line()
        #expect(answer?.hasSuffix(#""attempt":1}]}"#) == true && (answer?.utf8.count ?? 0) > 4_500_000)
        #expect(client.line() == nil)
        #expect(manager.stop() == 0)
    }

    @Test("a line that is too long is refused in words, behind the answers to what came before it")
    func longLine() throws {
        let manager = try RunningManager(scratch.path)
        let client = try LineClient(port: manager.workers)
        client.send(#"{"type":"status"}"# + "\n")
        client.send(#"{"type":"status","x":""# + String(repeating: "y", count: 9 << 20) + "\"}\n")
        #expect(client.line()?.hasPrefix(#"{"type":"status""#) == true)
        #expect(client.line() == #"{"type":"error","error":"a line has more than 8 MiB"}"#)
        #expect(client.line() == nil)
        #expect(manager.stop() == 0)
    }
}
