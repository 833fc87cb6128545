import ArgumentParser
import EventLog
import Foundation
import NIOHTTP1
import Projections

/// Where a verb that acts does it: `--url`, else the manager that runs on the data directory, else that directory.
struct ActingOptions: ParsableArguments {
    @OptionGroup var dataOptions: DataOptions
    @Option(help: "The running manager (MANAGER_URL; default: the address in journal/lock; token in MANAGER_TOKEN).")
    var url: String?
    @Option(help: "Certificates to trust besides the system's, PEM (MANAGER_CA).") var ca: String?

    /// The manager that is named: by the flag, the environment or the user's file; nil where none is.
    func named() throws(VerbFailure) -> NamedManager? {
        try NamedManager.find(url, ca: ca, usesDefault: dataOptions.directory == nil)
    }

    /// Finds who acts. Where no manager runs, the directory's lock is taken; `creating`: it is made where it is missing.
    func actor(creating: Bool = false) async throws -> any TaskActor {
        if let named = try named() {
            return RemoteActor(client: try ManagerClient(named))
        }
        let data = dataOptions.data
        if creating { try data.fileSystem.createDirectories(data.path) } else { _ = try dataOptions.existing() }
        _ = try dataOptions.withJournal()
        let deadline = ContinuousClock.now + .seconds(5)
        while true {
            let found = try await onThread(named: "lock") { Result { try DirectoryActor.open(data) } }.get()
            if let found { return found }
            // A manager that is just ending still holds the lock, but answers no more: then the lock is free soon.
            let named = LockLine.manager(data)
            if let named, case let client = try ManagerClient(named), await client.isReachable() {
                return RemoteActor(client: client)
            }
            guard ContinuousClock.now < deadline else {
                let whereToAsk = named.map { "does not answer at \($0.url)" } ?? "names no HTTP address there"
                throw VerbFailure(
                    "another process holds \(data.lockFile) and \(whereToAsk): wait for it, or name the manager with --url",
                    status: 1)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}

/// Carries out what acting verbs ask for. When a call returns, what it did is durable.
protocol TaskActor: Sendable {
    /// Adds tasks: the JSON of a task object or of an array of them.
    func add(_ tasks: [UInt8]) async throws -> CommandProcessor.Added

    /// Adds the points of a sweep file.
    func load(_ sweep: LoadableSweep) async throws -> SweepLoader.Loaded

    /// Does something to tasks; how many change.
    func operate(_ request: OperationRequest) async throws -> Int

    /// Gives a worker tasks again; whether anything had kept it from them.
    func releaseWorker(_ worker: String) async throws -> Bool

    /// Lets go of what it holds. Nothing may be asked afterwards.
    func close() async throws
}

/// A sweep file that was read and can be loaded.
struct LoadableSweep: Sendable {
    let yaml: [UInt8]
    let file: SweepFile
}

/// Asks a running manager.
struct RemoteActor: TaskActor {
    let client: ManagerClient

    func add(_ tasks: [UInt8]) async throws -> CommandProcessor.Added {
        let body = try await client.ask(.POST, "/tasks", body: tasks)
        return CommandProcessor.Added(
            added: try answerNumber("added", in: body), existing: try answerNumber("existing", in: body))
    }

    func load(_ sweep: LoadableSweep) async throws -> SweepLoader.Loaded {
        let name = sweep.file.name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "sweep"
        let body = try await client.ask(
            .POST, "/sweeps?name=\(name)", body: sweep.yaml, type: "application/yaml")
        var loaded = SweepLoader.Loaded(
            added: try answerNumber("added", in: body), existing: try answerNumber("existing", in: body),
            extended: try answerNumber("extended", in: body), gone: try answerNumber("gone", in: body))
        loaded.goneTasks = try Self.goneTasks(body)
        return loaded
    }

    /// The member `gone_tasks`; none in the answer of an older manager, or where there are none.
    private static func goneTasks(_ body: [UInt8]) throws(JSONError) -> [String] {
        var names: [String] = []
        var failure: JSONError?
        body.withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes)
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    if key == "gone_tasks" { names = try reader.strings() } else { try reader.skip() }
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return names
    }

    func operate(_ request: OperationRequest) async throws -> Int {
        // What was requeued may have been claimed meanwhile: a second requeue would take it away again.
        let repeating: ManagerClient.Repeating = request.operation == .requeue ? .never : .harmless
        return try answerNumber(
            "count", in: try await client.ask(.POST, "/operations", body: request.body(), repeating: repeating))
    }

    func releaseWorker(_ worker: String) async throws -> Bool {
        let name = worker.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? worker
        let answer = try await client.ask(.POST, "/workers/\(name)/release", body: [])
        return String(decoding: answer, as: UTF8.self).contains("true")
    }

    func close() async throws {}
}
