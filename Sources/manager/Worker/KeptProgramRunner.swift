import EventLog
import Foundation
import Glibc
import Subprocess
import SystemPackage

/// Runs each program under a keeper: a small process of its own that watches the program, writes its log and its outcome,
/// and lives on when the worker is killed. The next start of the worker takes it up again.
///
/// Order of effects, each durable before the next, and what the next start of the worker finds after it:
/// 1. the order: its lock is free, so nothing runs; the attempt is given back.
/// 2. the keeper, which takes the order's lock: as before until it has it (a keeper that comes too late finds the lock
///    taken or the order gone, and ends); from then on it is taken up.
/// 3. what `ProgramRunner` and `Outbox` do, in the keeper. The outcome is kept before the lock is free.
/// 4. the keeper's end: the outcome is delivered. Without one a keeper that was killed has lost its program: what it left
///    running is ended, and the attempt has failed; one that ended by itself could run nothing (a full disk): the attempt is
///    given back. Such a keeper says why on its standard error.
struct KeptProgramRunner: AttemptRunner {
    /// The keeper's exit status where something of this machine was in the way.
    static let troubleStatus: Int32 = 3

    private let settings: ProgramRunner.Settings
    private let outbox: Outbox
    private let fileSystem: any FileSystem
    private let absoluteDataDirectory: String

    /// Makes a runner; files of the runs live in the outbox. Throws where the data directory is not there.
    init(settings: ProgramRunner.Settings, outbox: Outbox, on fileSystem: any FileSystem) throws(FileError) {
        self.settings = settings
        self.outbox = outbox
        self.fileSystem = fileSystem
        absoluteDataDirectory = try fileSystem.resolve(settings.dataDirectory)
    }

    func run(_ task: ClaimedTask, worker: String, control: ProgramControl) async -> ProgramRunner.End {
        // swift-subprocess would answer a cancelled task by killing the keeper.
        let shielded = Task { await runShielded(task, worker: worker, control: control) }
        return await withTaskCancellationHandler {
            await shielded.value
        } onCancel: {
            control.stop(.drained)
        }
    }

    private func runShielded(
        _ task: ClaimedTask, worker: String, control: ProgramControl
    ) async -> ProgramRunner.End {
        let report = RunReport(host: settings.host, durationSeconds: 0)
        if let reason = control.stopReason {
            return ProgramRunner.End(outcome: reason == .superseded ? nil : .returned, report: report)
        }
        let order = KeeperOrder(task, worker: worker, settings, dataDirectory: absoluteDataDirectory)
        let failure = await onThread(named: "keeper-order") { () -> FileError? in
            do throws(FileError) {
                try outbox.give(order)
                return nil
            } catch { return error }
        }
        if let failure {
            return ProgramRunner.End(outcome: .returned, report: report, hostTrouble: failure.description)
        }
        let watch = KeeperWatch(outbox, task.reference, worker: worker, host: settings.host)
        control.whenStopped { reason in watch.stop(reason) }
        var platform = PlatformOptions()
        platform.createSession = true
        let configuration = Configuration(
            executable: .path("/proc/self/exe"), arguments: ["keep-program", outbox.path(of: task.reference, .order)],
            environment: .inherit.updating(["MANAGER_TOKEN": nil]), platformOptions: platform)
        do {
            let ended = try await Subprocess.run(
                configuration, input: .none, output: .bytes(limit: 8 << 20), error: .bytes(limit: 1 << 20))
            let words = String(decoding: ended.standardError.suffix(2000), as: UTF8.self)
            let ending: KeeperWatch.Ending =
                switch ended.terminationStatus {
                case .exited(0): .exited(trouble: nil)
                case .exited(let status):
                    .exited(trouble: words.isEmpty ? "its keeper ended with status \(status)" : Self.oneLine(words))
                case .signaled: .killed
                }
            return await watch.collect(said: ended.standardOutput, control: control, ending)
        } catch {
            let sentence = "the keeper cannot be started: \(error)"
            return await watch.collect(said: [], control: control, .notStarted(sentence))
        }
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: "; ")
    }
}
