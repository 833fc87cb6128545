import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// The real binary, started on a directory of a test's own.
final class RunningManager {
    let process = Process()
    let http: String
    let workers: UInt16
    let output = Pipe()

    /// The binary beside the tests.
    static var binary: URL {
        let own = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        return own.deletingLastPathComponent().appendingPathComponent("manager")
    }

    /// Starts `manager serve` and waits until it says where it listens. `log`: where its standard error goes.
    init(
        _ directory: String, _ extra: [String] = [], environment: [String: String] = [:], seconds: Double = 30,
        log: FileHandle = .nullDevice
    ) throws {
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.executableURL = Self.binary
        process.arguments =
            ["serve", "--data-dir", directory, "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0"] + extra
        process.standardOutput = output
        process.standardError = log
        try process.run()
        let lock = directory + "/journal/lock"
        let process = process
        let pid = "\"pid\":\(process.processIdentifier),"
        var line = ""
        _ = try eventuallyBlocking(within: .seconds(seconds)) {
            line = try Self.text(lock)
            let isReady = line.contains(pid) && Self.port("tcp", line) != nil && Self.port("http", line) != nil
            return isReady || !process.isRunning
        }
        let ports = line.contains(pid) ? (Self.port("tcp", line), Self.port("http", line)) : (nil, nil)
        workers = try #require(ports.0, "the manager did not start: \(line)")
        http = "http://127.0.0.1:\(try #require(ports.1))"
    }

    deinit { if process.isRunning { kill() } }

    private static func text(_ path: String) throws -> String {
        guard FileManager.default.fileExists(atPath: path) else { return "" }
        return String(decoding: try readWholeFile(path, on: LocalFileSystem()), as: UTF8.self)
    }

    private static func port(_ name: String, _ line: String) -> UInt16? {
        guard let start = line.range(of: "\"\(name)\":\"127.0.0.1:") else { return nil }
        return UInt16(line[start.upperBound...].prefix { $0.isNumber })
    }

    /// kill -9, and waits for the end.
    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Sends a signal and goes on.
    func signal(_ number: Int32) { Glibc.kill(process.processIdentifier, number) }

    /// SIGTERM, and waits; the exit status.
    func stop() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Runs another verb to its end.
    static func verb(_ arguments: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = binary
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}

/// A blocking client of the workers' port, as a worker in another language would write it.
final class LineClient {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    /// Connects; `fast` sends the newline that asks for the fast form.
    init(port: UInt16, fast: Bool = true) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let status = withLoopback(port) { connect(descriptor, $0, $1) }
        try #require(status == 0, "cannot connect")
        if fast { send("\n") }
    }

    deinit { close(descriptor) }

    /// Sends text; a manager that was killed makes it fail quietly, `line` tells.
    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// Sends a text again and again without reading, until for some seconds nothing more is taken; how many bytes were.
    func sendOnAndOn(_ text: String, mostBytes: Int) -> Int {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < mostBytes {
            let rest = bytes[(sent % bytes.count)...]
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count > 0 { sent += count }
            guard count < 0 else { continue }
            var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&room, 1, 3000) == 0 { break }
        }
        return sent
    }

    /// Says that nothing more will be sent, and goes on reading.
    func shutSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next line, or all up to the end of the connection; nil when nothing comes any more.
    func line() -> String? {
        while true {
            if let newline = buffer.firstIndex(of: 10) {
                defer { buffer.removeSubrange(...newline) }
                return String(decoding: buffer[..<newline], as: UTF8.self)
            }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else {
                defer { buffer = [] }
                return buffer.isEmpty ? nil : String(decoding: buffer, as: UTF8.self)
            }
            buffer.append(contentsOf: chunk[..<count])
        }
    }

    /// Sends a request and reads its answer.
    func ask(_ request: String) -> String? {
        send(request + "\n")
        return line()
    }
}
