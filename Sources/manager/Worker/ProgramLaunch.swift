import EventLog
import Subprocess
import SystemPackage

/// A program that is about to be started: its command line, its files, and the pipes of its streams.
struct ProgramLaunch: Sendable {
    /// The attempt.
    let task: ClaimedTask
    /// The command line, filled in; the program first.
    let arguments: [String]
    /// Its files in the outbox.
    let files: Outbox.RunFiles
    /// Where its output goes.
    let log: ProgramLog
    /// What swift-subprocess needs.
    let configuration: Configuration
    /// Its standard output. swift-subprocess closes the write end, whether it could start the program or not.
    let output: OutputPipe
    /// Its standard error; likewise.
    let errorOutput: OutputPipe
    /// By which a stop interrupts the watch.
    let wake: OutputPipe

    /// Opens the pipes. Throws where descriptors have run out; then nothing is left open.
    init(
        task: ClaimedTask, arguments: [String], files: Outbox.RunFiles, log: ProgramLog,
        environment: [String: String?]
    ) throws(Errno) {
        var pipes: [OutputPipe] = []
        do throws(Errno) {
            for _ in 0..<3 { pipes.append(try OutputPipe()) }
        } catch {
            for pipe in pipes { pipe.closeBoth() }
            log.close()
            throw error
        }
        (output, errorOutput, wake) = (pipes[0], pipes[1], pipes[2])
        self.task = task
        self.arguments = arguments
        self.files = files
        self.log = log

        var platform = PlatformOptions()
        platform.processGroupID = 0
        let program = arguments[0]
        var variables: [Environment.Key: String?] = [:]
        for (name, value) in environment { variables[Environment.Key(stringLiteral: name)] = .some(value) }
        configuration = Configuration(
            executable: program.utf8.contains(UInt8(ascii: "/")) ? .path(FilePath(program)) : .name(program),
            arguments: Arguments(Array(arguments.dropFirst())),
            environment: Environment.inherit.updating(variables),
            workingDirectory: task.workingDirectory.map { FilePath($0) },
            platformOptions: platform)
    }

    /// Nothing was started: closes our ends. The others are swift-subprocess' to close.
    func abandon() {
        OutputPipe.close(output.readEnd)
        OutputPipe.close(errorOutput.readEnd)
        wake.closeBoth()
        log.close()
    }

    /// The command line for people, words with white space quoted, at most 256 bytes.
    var commandLine: String {
        let words = arguments.map { word in
            word.isEmpty || word.contains(where: \.isWhitespace)
                ? "'" + word.replacing("'", with: "'\\''") + "'" : word
        }
        let line = words.joined(separator: " ")
        guard line.utf8.count > 256 else { return line }
        var cut = line.utf8.prefix(256 - "…".utf8.count)
        while let last = cut.last, last & 0x80 != 0 { cut.removeLast() }
        return String(decoding: cut, as: UTF8.self) + "…"
    }

    /// Why swift-subprocess could not start the program, as a sentence that says what to do.
    func startFailure(_ error: any Error, on fileSystem: any FileSystem) -> String {
        let program = arguments[0]
        guard let error = error as? SubprocessError else { return "cannot start \(program): \(error)" }
        switch error.code {
        case .failedToChangeWorkingDirectory:
            let reason = error.underlyingError.map { ": \($0)" } ?? ""
            return "cannot start \(program): its working directory '\(task.workingDirectory ?? ".")' "
                + "cannot be entered\(reason)"
        case .executableNotFound where !program.utf8.contains(UInt8(ascii: "/")):
            return "cannot start \(program): no such program in PATH (or it is not executable)"
        case .executableNotFound:
            let home = program.hasPrefix("/") ? "" : (task.workingDirectory.map { $0 + "/" } ?? "")
            var isThere = false
            do throws(FileError) { isThere = try fileSystem.metadata(home + program) != nil } catch {
                return "cannot start \(program): \(error)"
            }
            return isThere
                ? "cannot start \(program): it is not executable (chmod +x), or the interpreter it names is missing"
                : "cannot start \(program): there is no such file"
        default:
            if error.underlyingError == .execFormatError {
                return "cannot start \(program): it is no program, or a script that does not begin with #!"
            }
            if error.underlyingError == .argListTooLong {
                return "cannot start \(program): its arguments are too long for the system: "
                    + "read large values from {config_file}"
            }
            return "cannot start \(program): \(error)"
        }
    }
}
