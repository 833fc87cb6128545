import Glibc
import Projections

/// Looks whether a command's program is there before anything is started: one that is not would fail task after task.
///
/// It refuses only what no start can find. A program whose name has `{key}` in it, and those of a phase that waits for
/// others (which may build it), are left to their start. Programs are no files of ours: they are looked at in the system
/// itself.
struct ProgramSearch: Sendable {
    /// Where programs without a `/` are looked for when the task sets no `PATH`.
    let path: String?
    /// Directories that are searched besides, as a start does.
    private static let standard = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"]

    /// Checks every phase of a sweep that is about to run on this machine. Throws a sentence at the first whose program
    /// is not there.
    func check(_ phases: [SweepPhase], fallback: [String]?) throws(VerbFailure) {
        for phase in phases {
            let task = phase.points.common
            guard task.after.isEmpty, let program = (task.command ?? fallback)?.first else { continue }
            let ownPath = task.environment.last { $0.name == "PATH" }?.value
            if let problem = problem(program, path: ownPath ?? path, directory: task.workingDirectory) {
                throw VerbFailure("phase \(phase.name) cannot be run: \(problem)", status: 1)
            }
        }
    }

    /// Checks the command of a worker, whose tasks are not known yet. A path that is relative may be one below a task's
    /// `cwd`: it is not looked at. Throws a sentence.
    func check(workerCommand command: [String]) throws(VerbFailure) {
        guard let program = command.first, program.hasPrefix("/") || !program.utf8.contains(UInt8(ascii: "/")) else {
            return
        }
        if let problem = problem(program, path: path, directory: nil) { throw VerbFailure(problem, status: 1) }
    }

    /// Why a program cannot be started; nil where it can, or where that cannot be known. `directory`: where it would be
    /// started; nil: here.
    private func problem(_ program: String, path: String?, directory: String?) -> String? {
        // With {key} in it, it is another one for each task; {{ is a brace.
        guard !program.isEmpty, !program.contains("{"), !program.contains("}") else { return nil }
        guard program.utf8.contains(UInt8(ascii: "/")) else {
            let places = (path ?? "").split(separator: ":").map(String.init) + Self.standard
            if places.contains(where: { Self.look($0 + "/" + program) == .program }) { return nil }
            return "there is no program \(program) in PATH (or it is not executable)"
        }
        let place = program.hasPrefix("/") ? program : (directory.map { $0 + "/" } ?? "") + program
        switch Self.look(place) {
        case .program: return nil
        case .other: return "\(place) is no program: it is not executable (chmod +x), or a directory"
        case .nothing: return "there is no program \(place)"
        }
    }

    private enum Finding { case program, other, nothing }

    private static func look(_ path: String) -> Finding {
        var status = stat()
        guard stat(path, &status) == 0 else {
            // Anything but its absence may be otherwise for the one who starts it.
            return errno == ENOENT || errno == ENOTDIR ? .nothing : .program
        }
        guard status.st_mode & S_IFMT == S_IFREG else { return .other }
        return access(path, X_OK) == 0 ? .program : .other
    }
}
