import EventLog

/// Why rows are still owed.
enum ResultFilesError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The disk refused; the rows are written when it works again.
    case file(FileError)
    /// An output directory that no row may go to.
    case badDirectory(path: String, problem: String)
    /// Config or result of a row is no JSON object.
    case malformedRow(task: String, problem: String)
    /// The file was changed by others each time that it was about to be written.
    case changing(path: String)

    /// True when the disk or a quota is full.
    var isDiskFull: Bool {
        if case .file(let error) = self { error.isDiskFull } else { false }
    }

    /// One sentence: what failed, and what is owed.
    var description: String {
        switch self {
        case .file(let error): "\(error); the rows stay owed and are written as soon as this works"
        case .badDirectory(let path, let problem): "output directory '\(path)' \(problem)"
        case .malformedRow(let task, let problem): "the row of task \(task) cannot be written: \(problem)"
        case .changing(let path): "\(path) is changed by another program all the time; the rows stay owed"
        }
    }
}
