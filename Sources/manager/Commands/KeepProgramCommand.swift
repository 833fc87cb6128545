import ArgumentParser
@preconcurrency import Dispatch
import EventLog
import Foundation
import Glibc
import Synchronization

/// `manager keep-program ORDER`: the keeper of one program, started by `manager worker` and by nobody else.
struct KeepProgramCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep-program", abstract: "Run one program for a worker (internal).", shouldDisplay: false)

    @Argument(help: "The order's file in an outbox.") var order: String

    func run() async throws {
        // Ends only by its program's end: not with a terminal, not with the worker's pipe.
        for number in [SIGINT, SIGHUP, SIGPIPE] { signal(number, SIG_IGN) }
        let control = ProgramControl()
        let sources = [(SIGTERM, StopReason.drained), (SIGUSR1, .superseded)].map { number, reason in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { control.stop(reason) }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        // Held or gone: the worker has given the attempt up before this process came to it.
        guard case .free(let lock) = try KeeperLock.look(order) else { return }
        let fileSystem = LocalFileSystem()
        let order = try JSONDecoder().decode(
            KeeperOrder.self, from: Data(try readWholeFile(order, on: fileSystem)))
        let outbox = try Outbox(parentDirectory(of: self.order), on: fileSystem)
        let runner = try ProgramRunner(settings: order.settings, outbox: outbox, on: fileSystem)
        try outbox.record(
            RunningChild(pid: getpid(), worker: order.worker, reference: order.reference, in: outbox), as: .keeper)
        let claim = try order.gpu.map { gpu in
            try KeeperGPUClaim(gpu, in: DataDirectory(order.dataDirectory), processes: outbox.processes)
        }
        claim?.begin()
        let end = await runner.run(order.task, worker: order.worker, control: control)
        await onThread(named: "keeper-gpu-end") { claim?.end() }
        let isWell = await onThread(named: "keep") { Self.keep(end, order, in: outbox) }
        withExtendedLifetime(lock) {}
        if let trouble = end.hostTrouble { Self.say(trouble) }
        if !isWell { Self.say("the attempt's end could not be written to \(outbox.directory) at once") }
        if !isWell || end.hostTrouble != nil { throw ExitCode(KeptProgramRunner.troubleStatus) }
    }

    /// Tells the worker, if there is one still.
    private static func say(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }

    /// Keeps the outcome, or hands it to the worker where the disk does not take it, or tries until it does. True where
    /// all went well at once.
    private static func keep(_ end: ProgramRunner.End, _ order: KeeperOrder, in outbox: Outbox) -> Bool {
        guard let outcome = end.outcome else {
            do throws(FileError) { try outbox.removeRunFiles(of: order.reference) } catch { return false }
            return true
        }
        let kept = KeptOutcome(
            worker: order.worker, reference: order.reference, outcome: outcome, report: end.report)
        var isFirst = true
        while true {
            do throws(FileError) {
                try outbox.keep(kept)
                return isFirst
            } catch {
                let bytes = kept.json
                if Glibc.write(STDOUT_FILENO, bytes, bytes.count) == bytes.count { return false }
                isFirst = false
                sleep(1)
            }
        }
    }
}
