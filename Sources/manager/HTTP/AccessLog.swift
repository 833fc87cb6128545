import EventLog
import Foundation
import Glibc
import Projections
import Synchronization

/// One JSON line a request, written by a thread of its own. Never a query, a body or a token.
///
/// At most `mostWaiting` lines wait; where the disk is slower, lines are left out and counted.
final class AccessLog: Sendable {
    /// One request and its answer.
    struct Entry: Sendable {
        let id: String
        let peer: String
        let method: String
        let path: String
        let status: Int
        /// Nil for an answer that is written while it is made.
        let bytes: Int?
        /// Until the answer's head was ready.
        let seconds: Double
        let actor: String?
    }

    private static let mostWaiting = 10_000

    private struct State {
        var waiting: [UInt8] = []
        var lines = 0
        var dropped = 0
        var isClosed = false
        var mustReopen = false
    }

    private let path: String?
    private let state = Mutex(State())
    private let wake = DispatchGate()
    private let report: @Sendable (String) -> Void

    /// Writes to a file, or to standard error where the path is `-`. Throws where the file cannot be opened.
    init(_ path: String, report: @escaping @Sendable (String) -> Void) throws(FileError) {
        self.path = path == "-" ? nil : path
        self.report = report
        let first = try Self.open(self.path)
        startThread(named: "access-log") { self.run(first) }
    }

    /// Adds a line; returns at once.
    func write(_ entry: Entry) {
        let time = LogTime.now()
        var line = Array("{\"time\":\"\(time)\",\"request_id\":\"\(entry.id)\",\"peer\":\"\(entry.peer)\"".utf8)
        if let actor = entry.actor {
            line.append(contentsOf: ",\"actor\":".utf8)
            appendJSONString(actor, to: &line)
        }
        line.append(contentsOf: ",\"method\":".utf8)
        appendJSONString(entry.method, to: &line)
        line.append(contentsOf: ",\"path\":".utf8)
        appendJSONString(String(entry.path.prefix(1000)), to: &line)
        line.append(contentsOf: ",\"status\":\(entry.status)".utf8)
        if let bytes = entry.bytes { line.append(contentsOf: ",\"bytes\":\(bytes)".utf8) }
        line.append(contentsOf: ",\"duration_ms\":".utf8)
        appendJSONNumber((entry.seconds * 1e6).rounded() / 1e3, to: &line)
        line.append(contentsOf: [125, 10])
        let mustWake = state.withLock { state -> Bool in
            guard state.lines < Self.mostWaiting, !state.isClosed else {
                state.dropped += 1
                return false
            }
            state.waiting.append(contentsOf: line)
            state.lines += 1
            return state.lines == 1
        }
        if mustWake { wake.open() }
    }

    /// Opens the file anew, by its name: after it was renamed by a log rotation.
    func reopen() {
        state.withLock { $0.mustReopen = true }
        wake.open()
    }

    /// Writes what waits and ends.
    func close() {
        state.withLock { $0.isClosed = true }
        wake.open()
    }

    private static func open(_ path: String?) throws(FileError) -> Int32 {
        guard let path else { return STDERR_FILENO }
        // Appended by the kernel, so that a rotation that copies and cuts loses nothing either.
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw FileError(operation: "open", path: path, errno: errno) }
        return descriptor
    }

    private func run(_ first: Int32) {
        var descriptor = first
        while true {
            let turn = state.withLock { state -> State in
                defer {
                    state.waiting = []
                    state.lines = 0
                    state.dropped = 0
                    state.mustReopen = false
                }
                return state
            }
            if turn.mustReopen, path != nil {
                do throws(FileError) {
                    let anew = try Self.open(path)
                    Glibc.close(descriptor)
                    descriptor = anew
                } catch { report("the access log stays as it is: \(error)") }
            }
            if !turn.waiting.isEmpty { put(turn.waiting, descriptor) }
            if turn.dropped > 0 { report("\(turn.dropped) requests are missing in the access log: it was too slow") }
            if turn.isClosed {
                if path != nil { Glibc.close(descriptor) }
                return
            }
            if turn.waiting.isEmpty { wake.wait(seconds: 3600) }
        }
    }

    private func put(_ bytes: [UInt8], _ descriptor: Int32) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return report("the access log cannot be written: \(String(cString: strerror(errno)))")
            }
            done += count
        }
    }
}
