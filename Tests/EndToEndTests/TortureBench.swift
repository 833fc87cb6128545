import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// A manager and four workers of four slots each, all of the real binary, that are killed and started again.
final class TortureBench {
    static let workerCount = 4
    static let slots = 4

    let taskCount: Int
    /// What was done to whom, for people.
    private(set) var strikes = Strikes()

    struct Strikes: CustomStringConvertible {
        var programs = 0
        var workers = 0
        var managers = 0
        var description: String { "killed \(programs) programs, \(workers) workers, the manager \(managers) times" }
    }

    private let scratch: TemporaryDirectory
    private let port: UInt16
    private let end: ContinuousClock.Instant
    private let meanSeconds: Double
    private var random: SeededGenerator
    private var manager: RunningManager?
    private var workers: [Int: Process] = [:]
    /// Where the log of each worker's newest start begins.
    private var logStarts: [Int: Int] = [:]

    var data: String { scratch.path + "/manager" }
    private var own: String { scratch.path + "/worker" }
    private var ranFile: String { scratch.path + "/ran.txt" }

    init(seed: UInt64, seconds: Double, tasks: Int) throws {
        random = SeededGenerator(seed)
        scratch = try TemporaryDirectory()
        taskCount = tasks
        end = .now + .seconds(seconds)
        // As long as the kills go on there is work, and not much longer.
        meanSeconds = 0.4 * seconds * Double(Self.workerCount * Self.slots) / Double(tasks)
        port = try Self.freePort()
        for directory in [data, own] { try LocalFileSystem().createDirectories(directory) }
    }

    deinit {
        for worker in workers.values where worker.isRunning { kill(worker.processIdentifier, SIGKILL) }
    }

    /// True while there is to be killed.
    var isTime: Bool { ContinuousClock.now < end }

    /// A port below those that the system gives to clients: nobody takes it while the manager is away.
    private static func freePort() throws -> UInt16 {
        for _ in 0..<100 {
            let port = UInt16.random(in: 20_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            let status = withLoopback(port) { bind(descriptor, $0, $1) }
            if status == 0 { return port }
        }
        throw CocoaError(.fileNoSuchFile)
    }

    func start() throws {
        try startManager()
        let client = try LineClient(port: port)
        let durations = (0..<taskCount).map { _ in meanSeconds * Double.random(in: 0...2, using: &random) }
        let tasks = durations.enumerated().map { number, seconds in
            // Some leave a child behind that ignores SIGTERM.
            let config = #"{"n":\#(number),"sleep":\#(seconds),"stubborn":\#(number % 100 == 50 ? 1 : 0)}"#
            return #"{"task_id":"t\#(number)","phase":"p","config":\#(config),"seed":1,"max_retries":1000}"#
        }
        let answer = client.ask(#"{"type":"add","tasks":[\#(tasks.joined(separator: ","))]}"#)
        #expect(answer == #"{"type":"added","added":\#(taskCount),"existing":0}"#)
        for index in 0..<Self.workerCount { try startWorker(index) }
    }

    private func startManager() throws {
        manager = try RunningManager(
            data, ["--worker-listen", "127.0.0.1:\(port)", "--poison-after", "0", "--segment-bytes", "200000"],
            seconds: 60)
    }

    private func log(_ index: Int) -> String { scratch.path + "/w\(index).log" }

    private func startWorker(_ index: Int) throws {
        let process = Process()
        process.executableURL = RunningManager.binary
        let script =
            "echo \"$MANAGER_TASK_ID $MANAGER_ATTEMPT\" >> '\(ranFile)'; "
            + "if [ $2 = 1 ]; then (trap '' TERM; exec sleep 1000) & fi; sleep $1; "
            + #"echo '{{"value":1}}' > "$MANAGER_RESULT_FILE""#
        process.arguments = [
            "worker", "--url", "tcp://127.0.0.1:\(port)", "--dir", own, "--name", "w\(index)", "--slots",
            "\(Self.slots)", "--gpu", "\(index)", "--heartbeat", "1s", "--", "sh", "-c", script, "sh", "{sleep}",
            "{stubborn}",
        ]
        process.standardOutput = FileHandle.nullDevice
        let log = log(index)
        if !FileManager.default.fileExists(atPath: log) {
            try LocalFileSystem().open(log, .createNew).close()
        }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        logStarts[index] = Int(try handle.seekToEnd())
        process.standardError = handle
        try process.run()
        try handle.close()
        workers[index] = process
    }

    /// One act of violence.
    func strike() throws {
        try awaitPrograms(upTo: 24)
        switch Int.random(in: 0..<100, using: &random) {
        case ..<70:
            guard let victim = try (programs() + keepers()).randomElement(using: &random) else { return }
            kill(victim, SIGKILL)
            strikes.programs += 1
        case ..<90:
            let index = Int.random(in: 0..<Self.workerCount, using: &random)
            guard let worker = workers[index] else { return }
            if worker.isRunning { strikes.workers += 1 }
            kill(worker.processIdentifier, SIGKILL)
            worker.waitUntilExit()
            try awaitPrograms(upTo: 12)
            try startWorker(index)
        default:
            manager?.kill()
            strikes.managers += 1
            try awaitOutcomes(upTo: 16)
            try startManager()
        }
    }

    /// Waits until some more programs have begun, but no longer than they usually take.
    private func awaitPrograms(upTo most: Int) throws {
        let wanted = try runs().count + Int.random(in: 0...most, using: &random)
        _ = try eventuallyBlocking(within: .milliseconds(400)) { try runs().count >= wanted }
    }

    /// Waits, while the manager is away, until some outcomes wait for it, but no longer than they usually take.
    private func awaitOutcomes(upTo most: Int) throws {
        let wanted = Int.random(in: 0...most, using: &random)
        _ = try eventuallyBlocking(within: .milliseconds(500)) {
            try (0..<Self.workerCount).reduce(0) { count, index in
                count + (try LocalFileSystem().list("\(own)/.outbox/w\(index)").count { $0.hasSuffix(".outcome.json") })
            } >= wanted
        }
    }

    /// Lets all work end, then stops everybody as an operator would.
    func settle() throws {
        let client = try LineClient(port: port)
        let isDone = try eventuallyBlocking(within: .seconds(240)) {
            client.ask(#"{"type":"status"}"#)?.contains(#""complete":\#(taskCount),"#) == true
        }
        if !isDone { Issue.record("\(client.ask(#"{"type":"status"}"#) ?? "no status"); \(scratch.path)") }
        // One that began a moment ago would be ended by the signal itself, and leave what its next start takes up.
        for (index, start) in logStarts {
            let hasBegun = try eventuallyBlocking {
                String(decoding: try readWholeFile(log(index), on: LocalFileSystem()).dropFirst(start), as: UTF8.self)
                    .contains("takes tasks from")
            }
            #expect(hasBegun, "worker \(index)")
        }
        for worker in workers.values { worker.terminate() }
        for (index, worker) in workers {
            worker.waitUntilExit()
            #expect(worker.terminationStatus == 0, "worker \(index)")
        }
        #expect(manager?.stop() == 0)
    }

    /// The processes that work for our workers: everything that carries the mark of one of their outboxes.
    private func programs() throws -> [Int32] {
        let mark = Array("MANAGER_OUTBOX=\(try canonical(own))/".utf8)
        return try LocalFileSystem().list("/proc").compactMap { Int32($0) }.filter { pid in
            Self.file("environ", of: pid).split(separator: 0).contains { $0.starts(with: mark) }
        }
    }

    private func canonical(_ path: String) throws -> String {
        guard let resolved = realpath(path, nil) else { throw CocoaError(.fileNoSuchFile) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The keepers of those programs.
    private func keepers() throws -> [Int32] {
        let outboxes = Array("\(try canonical(own))/.outbox/".utf8)
        return try LocalFileSystem().list("/proc").compactMap { Int32($0) }.filter { pid in
            let words = Self.file("cmdline", of: pid).split(separator: 0)
            return words.contains { $0.elementsEqual("keep-program".utf8) }
                && words.contains { $0.starts(with: outboxes) }
        }
    }

    /// One of a process's files in /proc; empty where it is none of ours, has ended, or is a zombie.
    private static func file(_ name: String, of pid: Int32) -> [UInt8] {
        let descriptor = open("/proc/\(pid)/\(name)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256 << 10)
        return Array(bytes[..<max(0, read(descriptor, &bytes, bytes.count))])
    }

    // MARK: - What is there at the end

    func processesLeft() throws -> [Int32] { try programs() + keepers() }

    /// Files of outboxes and GPU locks that should have gone.
    func filesLeft() throws -> [String] {
        let outboxes = try (0..<Self.workerCount).flatMap { try LocalFileSystem().list("\(own)/.outbox/w\($0)") }
        return outboxes.filter { $0 != "lock" } + (try LocalFileSystem().list(own + "/.gpu_locks"))
    }

    /// Locks that somebody holds.
    func locksHeld() throws -> [String] {
        let locks = (0..<Self.workerCount).map { "\(own)/.outbox/w\($0)/lock" } + [data + "/journal/lock"]
        return locks.filter { path in
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            defer { close(descriptor) }
            return descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) != 0
        }
    }

    /// Which attempts' programs began, as they noted themselves.
    func runs() throws -> [String] {
        guard try LocalFileSystem().metadata(ranFile) != nil else { return [] }
        return String(decoding: try readWholeFile(ranFile, on: LocalFileSystem()), as: UTF8.self).split(separator: "\n")
            .map(String.init)
    }

    /// The task of each row.
    func rows(_ file: String) throws -> [String] {
        String(decoding: try readWholeFile(data + "/" + file, on: LocalFileSystem()), as: UTF8.self)
            .split(separator: "\n").dropFirst().map { String($0.prefix { $0 != "," }) }
    }

    func events(_ type: String) throws -> [[String: Any]] {
        let tail = try RunningManager.verb("tail", "--from", "1", "--type", type, "--json", "--data-dir", data)
        return try tail.output.split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }
}
