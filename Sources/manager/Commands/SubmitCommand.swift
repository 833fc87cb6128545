import ArgumentParser
import EventLog
import Foundation
import Projections

/// `manager submit`: adds tasks.
struct SubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Add tasks: from sweep files, JSON lines, or arguments.",
        discussion: """
            A sweep's points that stand already are not added again; points that left the file stay; another output_dir
            extends their tasks. Works on the running manager, or on the data directory where none runs.

            Examples:
              manager submit configs/exp1.yaml
              manager submit tasks.jsonl        one object a line: {"task_id":"a","phase":"p","config":{"x":1}}
              generate-tasks | manager submit -
              manager submit --phase p --config '{"lr":0.1}' --seed 1 -- python3 train.py --lr {lr}
            """)

    @Argument(
        help: """
            Sweep files (YAML) or files of task objects (JSON lines); - is standard input. With --phase: behind --, the \
            task's program and its arguments.
            """)
    var words: [String] = []
    @OptionGroup var one: OneTaskOptions
    @OptionGroup var acting: ActingOptions
    @Flag(help: "One JSON object: added, existing, extended, gone, and gone_tasks where there are some.") var json =
        false

    private var files: [String] { one.isGiven ? [] : words }
    private var command: [String] { one.isGiven ? words : [] }

    func validate() throws {
        if words.isEmpty, !one.isGiven {
            throw ValidationError("name a file, - for standard input, or a task by --phase and --config")
        }
        if files.filter({ $0 == "-" }).count > 1 { throw ValidationError("- can be read once only") }
    }

    func run() async throws {
        try await Terminal.ending {
            let submission = try read()
            let actor = try await acting.actor(creating: true)
            var total = SweepLoader.Loaded()
            do {
                for sweep in submission.sweeps {
                    let loaded = try await actor.load(sweep)
                    total.added += loaded.added
                    total.existing += loaded.existing
                    total.extended += loaded.extended
                    // A single task says nothing of the other points of its phase.
                    guard !one.isGiven else { continue }
                    total.gone += loaded.gone
                    total.goneTasks += loaded.goneTasks.prefix(
                        SweepLoader.Loaded.mostNamed - total.goneTasks.count)
                }
                for batch in submission.batches {
                    let added = try await actor.add(batch)
                    total.added += added.added
                    total.existing += added.existing
                }
            } catch {
                try await actor.close()
                throw error
            }
            try await actor.close()
            Terminal.write(json ? Self.json(total) : Self.text(total))
        }
    }

    private struct Submission {
        var sweeps: [LoadableSweep] = []
        var batches: [[UInt8]] = []
    }

    /// Everything is read and checked before anything is added.
    private func read() throws -> Submission {
        var submission = Submission()
        if one.isGiven {
            if let body = try one.taskObject(command) {
                submission.batches = [body]
            } else {
                submission.sweeps = [try Self.sweep(try one.sweep(command), name: "the arguments")]
            }
            return submission
        }
        for name in files {
            let bytes = try Terminal.read(name)
            let place = name == "-" ? "standard input" : name
            if bytes.allSatisfy({ $0 == 32 || (9...13).contains($0) }) {
                throw VerbFailure("\(place) is empty: tasks as JSON lines are due, or a sweep file (YAML)", status: 1)
            }
            let isSweep = name.hasSuffix(".yaml") || name.hasSuffix(".yml")
            if isSweep || !TaskLines.looksLikeJSON(bytes) {
                do { submission.sweeps.append(try Self.sweep(bytes, name: place)) } catch let error as SweepError
                    where !isSweep
                {
                    throw VerbFailure(
                        "\(place) holds neither tasks (JSON lines) nor a sweep (YAML): \(error)", status: 1)
                }
            } else {
                submission.batches += try TaskLines(bytes, name: place).batches
            }
        }
        return submission
    }

    private static func sweep(_ yaml: [UInt8], name: String) throws -> LoadableSweep {
        let file = try SweepFile(yaml: yaml, name: name)
        for warning in file.warnings { Terminal.complain("manager: \(warning)") }
        try SweepCommandCheck.check(file)
        return LoadableSweep(yaml: yaml, file: file)
    }

    private static func json(_ total: SweepLoader.Loaded) -> String {
        "{\"added\":\(total.added),\"existing\":\(total.existing),\"extended\":\(total.extended),\"gone\":\(total.gone)"
            + String(decoding: total.goneMember, as: UTF8.self) + "}\n"
    }

    private static func text(_ total: SweepLoader.Loaded) -> String {
        func tasks(_ count: Int) -> String { count == 1 ? "1 task" : "\(count) tasks" }
        var text = "added \(tasks(total.added)), \(total.existing) stood already"
        if total.extended > 0 { text += " (\(total.extended) of them got another output directory)" }
        if total.gone > 0 {
            text +=
                "\n\(tasks(total.gone)) of these phases \(total.gone == 1 ? "is" : "are") no longer in the file: kept (\(total.goneText))"
        }
        return text + "\n"
    }
}

/// One task described by options.
struct OneTaskOptions: ParsableArguments {
    @Option(help: "The task's phase.") var phase: String?
    @Option(help: "The task's config, a JSON object.") var config: String?
    @Option(help: "The task's seed (42).") var seed: String?
    @Option(help: "The task's id; without it the next {phase}_{counter}_{seed}, unless the point stands already.")
    var taskID: String?
    @Option(help: "A directory for the result (results_{phase}); repeatable with --task-id.")
    var outputDir: [String] = []
    @Option(help: "Higher is claimed first (0).") var taskPriority: Int?
    @Option(help: "Failures that are followed by another attempt (3).") var maxRetries: Int?
    @Option(help: "How long an attempt may run, such as 2h.") var taskTimeout: String?
    @Option(help: "A phase that must be complete first; repeatable.") var after: [String] = []

    /// True where one of them was given.
    var isGiven: Bool {
        phase != nil || config != nil || seed != nil || taskID != nil || !outputDir.isEmpty || taskPriority != nil
            || maxRetries != nil || taskTimeout != nil || !after.isEmpty
    }

    /// A body for `POST /tasks`; nil where no id is named.
    func taskObject(_ command: [String]) throws -> [UInt8]? {
        guard let taskID else { return nil }
        let (phase, members) = try checked()
        var out = Array("{\"task_id\":".utf8)
        appendJSONString(taskID, to: &out)
        out.append(contentsOf: ",\"phase\":".utf8)
        appendJSONString(phase, to: &out)
        out.append(contentsOf: ",\"config\":".utf8)
        out.append(contentsOf: members.compact)
        if let seed {
            out.append(contentsOf: ",\"seed\":".utf8)
            out.append(contentsOf: Self.scalar(seed))
        }
        if !outputDir.isEmpty { Self.append("output_dirs", outputDir, &out) }
        try appendOptions(command, timeoutName: "timeout_s", &out)
        return out + [125]
    }

    /// A sweep file with this one point. JSON is YAML.
    func sweep(_ command: [String]) throws -> [UInt8] {
        let (phase, object) = try checked()
        if outputDir.count > 1 { throw ValidationError("several --output-dir need a --task-id") }
        var out: [UInt8] = [123]
        appendJSONString(phase, to: &out)
        out.append(contentsOf: ":{\"combinations\":[".utf8)
        var members = object.members.filter { $0.name != "seed" || seed == nil }.map { ($0.name, $0.value) }
        if let seed { members.append(("seed", Self.scalar(seed))) }
        if members.isEmpty { members = [("seed", TaskSpec.defaultSeed)] }
        for (index, member) in members.enumerated() {
            out.append(contentsOf: index > 0 ? ",{".utf8 : "{".utf8)
            appendJSONString(member.0, to: &out)
            out.append(contentsOf: ":[".utf8)
            out.append(contentsOf: member.1)
            out.append(contentsOf: "]}".utf8)
        }
        out.append(93)
        if let directory = outputDir.first {
            out.append(contentsOf: ",\"defaults\":{\"output_dir\":".utf8)
            appendJSONString(directory, to: &out)
            out.append(125)
        }
        try appendOptions(command, timeoutName: "timeout", &out)
        return out + Array("}}\n".utf8)
    }

    private func checked() throws -> (phase: String, config: StrictJSON) {
        guard let phase else { throw ValidationError("--phase is missing") }
        do throws(JSONError) { return (phase, try StrictJSON(object: Array((config ?? "{}").utf8))) } catch {
            throw ValidationError("--config is no JSON object: \(error)")
        }
    }

    private func appendOptions(_ command: [String], timeoutName: String, _ out: inout [UInt8]) throws {
        if let taskPriority { out.append(contentsOf: ",\"priority\":\(taskPriority)".utf8) }
        if let maxRetries { out.append(contentsOf: ",\"max_retries\":\(maxRetries)".utf8) }
        if let taskTimeout {
            do {
                out.append(contentsOf: ",\"\(timeoutName)\":".utf8)
                appendJSONNumber(try MomentText.duration(taskTimeout).seconds, to: &out)
            } catch { throw ValidationError("--task-timeout: \(error)") }
        }
        if !after.isEmpty { Self.append("after", after, &out) }
        if !command.isEmpty { Self.append("command", command, &out) }
    }

    private static func append(_ name: String, _ values: [String], _ out: inout [UInt8]) {
        out.append(contentsOf: ",\"\(name)\":".utf8)
        appendJSONStrings(values, to: &out)
    }

    /// A number as it stands, everything else as text.
    private static func scalar(_ text: String) -> [UInt8] {
        var bytes = Array(text.utf8)
        let isNumber = bytes.withUnsafeBufferPointer { buffer -> Bool in
            var reader = JSONReader(buffer)
            do throws(JSONError) {
                _ = try reader.double()
                try reader.finish()
                return true
            } catch { return false }
        }
        if !isNumber {
            bytes = []
            appendJSONString(text, to: &bytes)
        }
        return bytes
    }
}

/// Checks that the commands of a sweep's phases name only keys that their points have.
enum SweepCommandCheck {
    /// Throws `VerbFailure` at the first that does not.
    static func check(_ file: SweepFile) throws(VerbFailure) {
        for phase in file.phases where phase.points.common.command != nil {
            // All points of a phase have the same keys.
            do throws(CommandTemplateError) {
                try CommandTemplate.validate(phase.points.prefix(1), fallback: nil)
            } catch { throw VerbFailure("\(file.name): \(error)", status: 1) }
        }
    }
}
