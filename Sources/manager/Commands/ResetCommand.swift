import ArgumentParser
import EventLog
import Foundation
import Projections

/// `manager reset`: sets everything aside and starts fresh.
struct ResetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "Set journal, state, backups and results aside in archive-<time>/, to start fresh.",
        discussion: """
            Example: manager reset --data-dir runs --yes
            Nothing is deleted: 'manager status --data-dir runs/archive-…' still reads what was set aside. Result files \
            (final_results.csv) and logs go too, as their rows would complete a fresh sweep's tasks; --keep-results \
            leaves them in place for exactly that.
            """)

    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "Do not ask.") var yes = false
    @Flag(help: "Leave final_results.csv and logs where they are.") var keepResults = false
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            guard yes || isatty(STDIN_FILENO) == 1 else {
                throw ValidationError(
                    "reset asks before it moves anything, and there is no terminal to ask on: add --yes")
            }
            let data = try dataOptions.existing()
            let reset = Reset(data: data, keepsResults: keepResults)
            guard try !reset.plan().isEmpty else {
                return Terminal.write(
                    Array(
                        (json ? "{\"archive\":null,\"moved\":[]}\n" : "There is nothing to reset in \(data.path)\n")
                            .utf8))
            }
            let lock = try HeldLock.take(data, for: "reset")
            defer { lock.release() }
            // What is there was looked at before the lock was held: look again.
            let plan = try reset.plan()
            if !yes { try Self.ask(plan, data) }
            let done = try await onThread(named: "reset") { Result { try reset.run(plan) } }.get()
            Terminal.write(Array((json ? Self.json(done) : Self.text(done)).utf8))
        }
    }

    private static func ask(_ plan: Reset.Plan, _ data: DataDirectory) throws {
        var what = plan.paths.filter { !$0.contains("/") }
        if plan.hasJournal { what.append("the journal") }
        let files = plan.paths.count { $0.contains("/") }
        if files > 0 { what.append("\(files) more files and directories of results, logs and outcomes") }
        let tasks = plan.state.map { " It knows \($0.taskCount) tasks, \($0.progress) complete." } ?? ""
        Terminal.write(
            Array(
                ("This sets aside everything that \(data.path) knows: \(what.joined(separator: ", ")).\(tasks)\n"
                    + "Nothing is deleted; it all goes into archive-<time>/. Go on? Type yes: ").utf8))
        let answer = readLine()?.trimmingCharacters(in: .whitespaces).lowercased()
        guard answer == "yes" || answer == "y" else { throw VerbFailure("nothing was done", status: 1) }
    }

    private static func text(_ done: Reset.Done) -> String {
        var text = "Set aside in \(done.archive)/: \(done.moved.joined(separator: ", "))\n"
        for name in done.renamed { text += "On another disk, so renamed there: \(name)\n" }
        return text
    }

    private static func json(_ done: Reset.Done) -> String {
        var out = Array("{\"archive\":".utf8)
        appendJSONString(done.archive, to: &out)
        out += Array(",\"moved\":".utf8)
        appendJSONStrings(done.moved, to: &out)
        out += Array(",\"renamed\":".utf8)
        appendJSONStrings(done.renamed, to: &out)
        return String(decoding: out, as: UTF8.self) + "}\n"
    }
}
