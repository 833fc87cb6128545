import EventLog
import Foundation
import TestSupport
import Testing

/// TLS on both ports, with a certificate that openssl makes for the test.
@Suite("TLS, from outside") struct TLSTests {
    private let directory: TemporaryDirectory
    private var data: String { directory.path + "/d" }
    private var certificate: String { directory.path + "/cert.pem" }
    private var key: String { directory.path + "/key.pem" }

    init() throws {
        directory = try TemporaryDirectory()
        try makePair(certificate, key)
    }

    private func makePair(_ certificate: String, _ key: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
            "-out", certificate,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "openssl makes no certificate")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
    }

    private func start(_ extra: [String] = []) throws -> RunningManager {
        try RunningManager(data, ["--tls-cert", certificate, "--tls-key", key] + extra)
    }

    private func secure(_ manager: RunningManager) -> String {
        manager.http.replacing("http://", with: "https://")
    }

    @Test func `a worker and verbs speak TLS, and trust nobody whom they were not told to trust`() throws {
        let tokens = directory.path + "/tokens"
        let made = try ["box", "me"].map { name in
            try VerbRun(
                ["token", "create", "--role", name == "me" ? "operator" : "worker", name, "--tokens", tokens]
            ).output.trimmingCharacters(in: .newlines)
        }
        let manager = try start(["--tokens", tokens])
        defer { manager.kill() }
        let sweep = directory.path + "/s.yaml"
        try Data("p:\n  combinations:\n    - x: [1, 2]\n".utf8).write(to: URL(fileURLWithPath: sweep))
        let me = ["MANAGER_TOKEN": made[1]]
        let distrusting = try VerbRun(["submit", sweep, "--url", secure(manager)], environment: me)
        #expect(distrusting.status == 1)
        #expect(distrusting.errors.contains("cannot reach the manager"))
        let trusting = try VerbRun(
            ["submit", sweep, "--url", secure(manager), "--ca", certificate], environment: me)
        #expect(trusting.status == 0, "\(trusting.errors)")
        // On the same machine the lock names the certificate: nothing need be said.
        let here = try VerbRun(["priority", "5", "p_0_42", "--data-dir", data], environment: me)
        #expect(here.status == 0, "\(here.errors)")
        let port = manager.workers
        for url in [secure(manager), "tls://127.0.0.1:\(port)"] {
            let worker = try VerbRun(
                [
                    "worker", "--url", url, "--ca", certificate, "--dir", directory.path + "/w", "--name", "w1",
                    "--max-tasks", "1", "--", "true",
                ], environment: ["MANAGER_TOKEN": made[0]])
            #expect(worker.status == 0, "\(worker.errors)")
        }
        let status = try VerbRun(["status", "--json", "--data-dir", data]).object()
        #expect(status["complete"] as? Int == 2)
    }

    @Test func `existing workers on this machine connect as ever`() throws {
        let manager = try start()
        defer { manager.kill() }
        let old = try LineClient(port: manager.workers, fast: false)
        old.send(#"{"type":"status"}"#)
        #expect(try #require(old.line()).contains(#""total":0"#))
    }

    @Test func `a name of the user's file stands for address, token and certificate`() throws {
        let tokens = directory.path + "/tokens"
        let token = try VerbRun(["token", "create", "--role", "operator", "me", "--tokens", tokens]).output
            .trimmingCharacters(in: .newlines)
        let manager = try start(["--tokens", tokens])
        defer { manager.kill() }
        let home = directory.path + "/home"
        try FileManager.default.createDirectory(atPath: home + "/manager", withIntermediateDirectories: true)
        let file = home + "/manager/config.yaml"
        let text = "managers:\n  lab: {url: \"\(secure(manager))\", token: \(token), ca: \(certificate)}\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        let lines = #"{"task_id":"a","phase":"p","config":{"x":1}}"#
        func submit(_ name: String) throws -> VerbRun {
            try VerbRun(["submit", "-", "--url", name], environment: ["XDG_CONFIG_HOME": home], input: lines)
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        #expect(try submit("lab").errors.contains("holds tokens and others may read it"))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        let done = try submit("lab")
        #expect(done.status == 0, "\(done.errors)")
        let unknown = try submit("elsewhere")
        #expect(unknown.status == 64)
        #expect(unknown.errors.contains("'elsewhere' is no address of a manager"))
    }

    /// The certificate that a port shows, as PEM.
    private func shown(_ port: String) throws -> String {
        let client = SecureClient(port)
        try client.process.run()
        try client.input.fileHandleForWriting.close()
        let text = String(decoding: try client.output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        client.process.waitUntilExit()
        let begin = try #require(text.range(of: "-----BEGIN CERTIFICATE-----"), "no certificate: \(text)")
        let end = try #require(text.range(of: "-----END CERTIFICATE-----"))
        return String(text[begin.lowerBound..<end.upperBound])
    }

    /// `openssl s_client` to a port of this machine.
    private final class SecureClient {
        let process = Process()
        let (input, output) = (Pipe(), Pipe())

        init(_ port: String, _ options: [String] = []) {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["openssl", "s_client", "-connect", "127.0.0.1:\(port)"] + options
            process.standardInput = input
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
        }

        /// Sends text and reads until the answer holds a mark, or ends.
        func ask(_ text: String, until mark: String) throws -> String {
            input.fileHandleForWriting.write(Data(text.utf8))
            var answer = ""
            while !answer.contains(mark), case let more = output.fileHandleForReading.availableData, !more.isEmpty {
                answer += String(decoding: more, as: UTF8.self)
            }
            return answer
        }
    }

    @Test func `at SIGHUP new connections of both ports get the new certificate, and those that stand go on`() throws {
        let log = directory.path + "/log"
        try Data().write(to: URL(fileURLWithPath: log))
        let logged = { String(decoding: try readWholeFile(log, on: LocalFileSystem()), as: UTF8.self) }
        let manager = try RunningManager(
            data, ["--tls-cert", certificate, "--tls-key", key],
            log: try #require(FileHandle(forWritingAtPath: log)))
        defer { manager.kill() }
        let ports = [String(manager.http.split(separator: ":").last ?? ""), "\(manager.workers)"]
        func file() throws -> String {
            String(decoding: try readWholeFile(certificate, on: LocalFileSystem()), as: UTF8.self)
                .trimmingCharacters(in: .newlines)
        }
        let first = try file()
        for port in ports { #expect(try shown(port) == first) }
        let standing = SecureClient(ports[0], ["-quiet"])
        try standing.process.run()
        defer { standing.process.terminate() }
        let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        #expect(try standing.ask(request, until: "\r\n\r\nok\n").contains("200 OK"))

        try makePair(certificate, key)
        let second = try file()
        #expect(second != first)
        manager.signal(SIGHUP)
        #expect(try eventuallyBlocking(within: .seconds(20)) { try shown(ports[0]) == second })
        #expect(try shown(ports[1]) == second)
        #expect(try standing.ask(request, until: "\r\n\r\nok\n").contains("200 OK"))

        // A key of another certificate, half a file, a key that others may read: nothing changes, and the log says why.
        let others = directory.path + "/other"
        try makePair(others + "-cert.pem", others + "-key.pem")
        let (good, foreign) = (
            try Data(contentsOf: URL(fileURLWithPath: key)),
            try Data(contentsOf: URL(fileURLWithPath: others + "-key.pem"))
        )
        var refusals = 0
        func hangUp(_ bytes: Data, permissions: Int = 0o600) throws {
            try bytes.write(to: URL(fileURLWithPath: key))
            try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: key)
            manager.signal(SIGHUP)
            refusals += 1
            let isRefused = try eventuallyBlocking(within: .seconds(20)) {
                try logged().components(separatedBy: "the certificate in use stays").count > refusals
            }
            let lines = try logged()
            #expect(isRefused, "\(lines)")
            for port in ports { #expect(try shown(port) == second) }
        }
        try hangUp(foreign)
        try hangUp(good.prefix(100))
        try hangUp(good, permissions: 0o644)
        #expect(try logged().contains("others than its owner may read the TLS key"))
    }

    @Test func `a key that others may read stops the start`() throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: key)
        let run = try VerbRun(["serve", "--data-dir", data, "--tls-cert", certificate, "--tls-key", key])
        #expect(run.status == 1)
        #expect(run.errors.contains("others than its owner may read the TLS key"))
        #expect(try VerbRun(["serve", "--data-dir", data, "--tls-cert", certificate]).status == 64)
    }
}
