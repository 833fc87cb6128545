import Foundation
import TestSupport
import Testing

@Suite("What cannot be meant", .serialized) struct UsageTests {
    private let scratch: TemporaryDirectory
    private let data: String

    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
    }

    private func write(_ name: String, _ text: String) throws -> String {
        let path = scratch.path + "/" + name
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    static let wrong: [(words: [String], says: String)] = [
        (["token create", "x", "--role", "king"], "--role king is none"),
        (["cancel"], "name tasks, or --phase or --status"),
        (["hold", "a", "--phase", "p"], "name tasks, or --phase and --status, not both"),
        (["serve", "--stale-after", "x"], "--stale-after: 'x' is no duration"),
        (["serve", "--stale-after", "0s"], "--stale-after 0 would take every attempt away at once"),
        (["serve", "--segment-bytes", "12q"], "--segment-bytes: '12q' is no size"),
        (
            ["compact", "--discard-before", "2950-01-01"],
            "--discard-before: 2950-01-01T00:00:00.000000Z lies in the future"
        ),
        (["tail", "--since", "yesterday"], "--since: 'yesterday' is no time"),
        (["serve", "--listen", "nowhere"], "--listen nowhere is no HOST:PORT"),
        (["priority", "10"], "name tasks, or --phase or --status"),
        (["priority", "a"], "the priority is missing"),
        (["run", "s.yaml", "--workers", "0", "--", "true"], "--workers is 0"),
        (["reset"], "there is no terminal to ask on: add --yes"),
        (["worker", "--slots", "0", "--", "true"], "--slots is 0"),
        (["status", "--watch", "--seq", "1"], "--watch shows what is now"),
    ]

    @Test("who uses a verb wrongly is shown that verb's usage", arguments: wrong)
    func verbs(words: [String], says: String) throws {
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let split = words[0].split(separator: " ").map(String.init) + words.dropFirst()
        let run = try VerbRun(split, environment: ["MANAGER_DATA_DIR": data])
        #expect(run.status == 64, "\(run.errors)")
        #expect(run.output.isEmpty)
        #expect(run.errors.hasPrefix("Error: ") && run.errors.contains(says), "\(run.errors)")
        let verb = words[0]
        #expect(run.errors.contains("\nUsage: manager \(verb) "), "\(run.errors)")
        #expect(run.errors.contains("\n  See 'manager \(verb) --help' for more information."), "\(run.errors)")
    }

    @Test("a verb that there is not is refused, also where help is asked for")
    func unknownVerb() throws {
        for words in [["frobnicate"], ["frobnicate", "--help"], ["frobnicate", "-h", "x"]] {
            let run = try VerbRun(words)
            #expect(run.status == 64 && run.output.isEmpty)
            #expect(run.errors.hasPrefix("Error: there is no verb 'frobnicate'\nUsage: manager <subcommand>"))
        }
        for words in [["--help"], ["cancel", "--help"], ["help", "cancel"], ["--version"], []] {
            let run = try VerbRun(words)
            #expect(run.status == 0 && run.errors.isEmpty && !run.output.isEmpty, "\(words)")
        }
    }

    @Test("standard input that holds nothing, or neither tasks nor a sweep, is told as that")
    func standardInput() throws {
        for input in ["", " \n\n"] {
            let run = try VerbRun(["submit", "-", "--data-dir", data], input: input)
            #expect(run.status == 1)
            #expect(run.errors.hasPrefix("manager: standard input is empty: "), "\(run.errors)")
        }
        for input in ["hello\n", "17\n", "a: 1\n"] {
            let run = try VerbRun(["submit", "-", "--data-dir", data], input: input)
            #expect(run.status == 1)
            let start = "manager: standard input holds neither tasks (JSON lines) nor a sweep (YAML): "
            #expect(run.errors.contains(start), "\(run.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: data))
        let sweep = try VerbRun(["submit", "-", "--data-dir", data], input: "p:\n  combinations:\n    - a: [1]\n")
        #expect(sweep.output == "added 1 task, 0 stood already\n", "\(sweep.errors)")
    }

    @Test("run names the sweep file that is not there")
    func sweepFile() throws {
        let run = try VerbRun(["run", scratch.path + "/none.yaml", "--data-dir", data, "--", "true"])
        #expect(run.status == 1 && run.errors == "manager: there is no sweep file \(scratch.path)/none.yaml\n")
        let pattern = try VerbRun(["run", scratch.path + "/*.yaml", "--data-dir", data, "--", "true"])
        #expect(pattern.status == 1 && pattern.errors.contains("/*.yaml matches no file; "))
    }

    @Test("a program that is not there is refused before anything is written")
    func programs() throws {
        let plain = try write("plain.txt", "no program")
        let inDirectory = "  cwd: '\(scratch.path)'\n"
        let refused: [(phase: String, command: [String], says: String)] = [
            ("", ["no-such-program"], "phase p cannot be run: there is no program no-such-program in PATH"),
            ("", ["/no/such"], "phase p cannot be run: there is no program /no/such"),
            ("", ["./no-such"], "phase p cannot be run: there is no program ./no-such"),
            ("", [plain], "phase p cannot be run: \(plain) is no program: it is not executable (chmod +x)"),
            ("", [scratch.path], "phase p cannot be run: \(scratch.path) is no program"),
            ("  command: [no-such-program]\n", ["true"], "there is no program no-such-program in PATH"),
            (inDirectory, ["./plain.txt"], "phase p cannot be run: \(plain.replacing("plain", with: "./plain"))"),
            ("  env: {PATH: '\(scratch.path)'}\n", ["no-such-program"], "there is no program no-such-program in PATH"),
        ]
        for (phase, command, says) in refused {
            let sweep = try write("s.yaml", "p:\n\(phase)  combinations:\n    - a: [1, 2]\n")
            let run = try VerbRun(["run", sweep, "--data-dir", data, "--"] + command)
            #expect(run.status == 1 && run.errors.contains(says), "\(run.errors)")
            #expect(!FileManager.default.fileExists(atPath: data), "\(command)")
        }
        let worker = try VerbRun(["worker", "--dir", data, "--", "no-such-program"])
        #expect(worker.status == 1 && worker.errors.contains("there is no program no-such-program in PATH"))
        #expect(!FileManager.default.fileExists(atPath: data))
    }

    @Test("a program that can be found where it will be started is none the worse")
    func foundPrograms() throws {
        let own = try write("own", "#!/bin/sh\nexit 0\n")
        #expect(chmod(own, 0o755) == 0)
        let phases: [(phase: String, command: [String])] = [
            ("  cwd: '\(scratch.path)'\n", ["./own"]), ("  env: {PATH: '\(scratch.path)'}\n", ["own"]),
            ("", ["{a}"]), ("  command: ['\(own)']\n", ["no-such-program"]),
        ]
        for (number, (phase, command)) in phases.enumerated() {
            let sweep = try write("s.yaml", "p\(number):\n\(phase)  combinations:\n    - a: ['true']\n")
            let run = try VerbRun(["run", sweep, "--data-dir", data, "--"] + command)
            #expect(run.status == 0, "\(command): \(run.output)\(run.errors)")
        }
        // What a phase waits for may build its program.
        let sweep = try write(
            "s.yaml",
            """
            build:
              combinations:
                - a: [1]
              command: [cp, '\(own)', '\(scratch.path)/built']
            use:
              after: [build]
              combinations:
                - a: [1]
              command: ['\(scratch.path)/built']
            """)
        let run = try VerbRun(["run", sweep, "--data-dir", data + "2"])
        #expect(run.status == 0, "\(run.output)\(run.errors)")
    }

    @Test("a run's progress counts what is complete, as status does")
    func progress() throws {
        let sweep = try write("s.yaml", "p:\n  max_retries: 0\n  combinations:\n    - a: [0, 1, 2, 3, 4]\n")
        let run = try VerbRun(["run", sweep, "--data-dir", data, "--", "sh", "-c", "exit $(( {a} > 2 ))"])
        #expect(run.status == 1)
        let status = try VerbRun(["status", "--json", "--data-dir", data]).object()
        #expect(status["failed"] as? Int == 2)
        let progress = try #require(status["progress"] as? String)
        #expect(run.output.contains("\n\(progress), 0 running, 2 failed\n"), "\(progress) in \(run.output)")
    }
}
