import Foundation
import Glibc
import Testing

/// One HTTP/1.1 exchange over a socket of its own, as a plain client would do it.
final class HTTPCaller {
    /// What came back.
    struct Answer {
        var status = 0
        var headers: [String: String] = [:]
        var body = ""

        /// A member of the JSON object in the body.
        subscript(name: String) -> Any? {
            let object = try? JSONSerialization.jsonObject(with: Data(body.utf8))
            return (object as? [String: Any])?[name]
        }
    }

    private var descriptor: Int32
    private var buffer: [UInt8] = []

    /// Connects to `http://127.0.0.1:PORT`.
    init(_ url: String) throws {
        let port = try #require(UInt16(url.split(separator: ":").last ?? ""))
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let status = withLoopback(port) { connect(descriptor, $0, $1) }
        try #require(status == 0, "cannot connect to \(url)")
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Ends the connection, as a client that leaves.
    func shut() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Ends our side alone: what was asked for may still be answered.
    func shutSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// True when the server has closed the connection, and sent nothing that was not read.
    func isAtEnd() -> Bool {
        var byte: UInt8 = 0
        return buffer.isEmpty && recv(descriptor, &byte, 1, 0) == 0
    }

    /// Resets the connection when this caller is dropped, as a machine that is gone.
    func resetWhenDropped() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    }

    /// Resets the connection, as a client whose process or machine dies.
    func reset() {
        resetWhenDropped()
        close(descriptor)
        descriptor = -1
    }

    /// One call on a connection of its own.
    static func call(
        _ url: String, _ method: String, _ path: String, _ body: String? = nil,
        headers: [String: String] = [:], type: String? = "application/json"
    ) throws -> Answer {
        let caller = try HTTPCaller(url)
        caller.send(method, path, body, headers: headers, type: type)
        return described(caller.answer(), method, "/api/v1" + path)
    }

    /// One call of a path that does not stand under `/api/v1`.
    static func raw(
        _ url: String, _ method: String, _ path: String, headers: [String: String] = [:]
    ) throws -> Answer {
        let caller = try HTTPCaller(url)
        caller.send(method, path, headers: headers, under: "")
        return described(caller.answer(), method, path)
    }

    /// The answer, compared with the interface's description where there is one.
    static func described(_ answer: Answer, _ method: String, _ path: String) -> Answer {
        guard answer.status != 0 else { return answer }
        for fault in InterfaceDescription.shared.faults(method, path, answer) {
            Issue.record("\(method) \(path) was answered \(answer.status): \(fault)")
        }
        return answer
    }

    /// Sends a request and reads nothing.
    func send(
        _ method: String, _ path: String, _ body: String? = nil, headers: [String: String] = [:],
        type: String? = "application/json", under prefix: String = "/api/v1"
    ) {
        var all = ["Host": "127.0.0.1", "Connection": "close"].merging(headers) { $1 }
        if let body {
            all["Content-Length"] = all["Content-Length"] ?? String(body.utf8.count)
            if let type { all["Content-Type"] = type }
        }
        let head = "\(method) \(prefix)\(path) HTTP/1.1\r\n" + all.map { "\($0): \($1)\r\n" }.joined() + "\r\n"
        sendRaw(head + (body ?? ""))
    }

    /// Sends text as it is.
    func sendRaw(_ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            done += count
        }
    }

    /// Reads the whole answer.
    func answer() -> Answer {
        var answer = head()
        if answer.headers["transfer-encoding"] == "chunked" {
            while let line = line(), let size = Int(line, radix: 16), size > 0 {
                answer.body += text(size)
                _ = self.line()
            }
        } else if let length = answer.headers["content-length"].flatMap({ Int($0) }) {
            answer.body = text(length)
        }
        return answer
    }

    /// Reads status and headers; what follows is read by `piece`.
    func head() -> Answer {
        var answer = Answer()
        answer.status = line().flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) } ?? 0
        while let line = line(), !line.isEmpty {
            let parts = line.split(separator: ":", maxSplits: 1)
            answer.headers[parts[0].lowercased()] = parts.last?.trimmingCharacters(in: .whitespaces) ?? ""
        }
        return answer
    }

    /// The next chunk of a chunked body; nil at its end, or when nothing came for 20 s.
    func piece() -> String? {
        guard let line = line(), let size = Int(line, radix: 16), size > 0 else { return nil }
        defer { _ = self.line() }
        return text(size)
    }

    /// Reads so many bytes, or up to the end of the connection, and forgets them; `pace`: milliseconds of rest after each
    /// 64 KiB. Returns how many came.
    func count(_ most: Int, pace: UInt32 = 0) -> Int {
        var count = buffer.count
        buffer = []
        while count < most, fill() {
            count += buffer.count
            buffer = []
            if pace > 0 { usleep(pace * 1000) }
        }
        return count
    }

    private func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer.removeSubrange(...end) }
                return String(decoding: buffer[..<end], as: UTF8.self).trimmingCharacters(in: ["\r"])
            }
            guard fill() else { return nil }
        }
    }

    private func text(_ count: Int) -> String {
        while buffer.count < count, fill() {}
        defer { buffer.removeFirst(min(count, buffer.count)) }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    private func fill() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count > 0 { buffer.append(contentsOf: chunk[..<count]) }
        return count > 0
    }
}
