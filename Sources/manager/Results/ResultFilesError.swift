import EventLog

/// Why rows are not written.
enum ResultFilesError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The disk refused; the rows are written when it works again.
    case file(FileError)
    /// An output directory that no row may go to, now or later: nothing is owed to it.
    case badDirectory(path: String, problem: String)
    /// Something else than a file has the name; the rows are written when a file can be made there.
    case notRegular(path: String, isDirectory: Bool)
    /// The file's lines end with CR alone: what is a row of it cannot be told.
    case bareReturns(path: String)
    /// Config or result of a row is no JSON object, now and later: it is owed to nobody.
    case malformedRow(task: String, problem: String)
    /// The file was changed by others each time that it was about to be written.
    case changing(path: String)

    /// True when the disk or a quota is full.
    var isDiskFull: Bool {
        if case .file(let error) = self { error.isDiskFull } else { false }
    }

    /// True where the rows are owed until it works.
    var canPass: Bool {
        switch self {
        case .badDirectory, .malformedRow: false
        case .file, .notRegular, .bareReturns, .changing: true
        }
    }

    /// One sentence: what failed, and what is owed.
    var description: String {
        switch self {
        case .file(let error): "\(error); the rows stay owed and are written as soon as this works"
        case .notRegular(let path, let isDirectory):
            "\(path) is \(isDirectory ? "a directory" : "a pipe or device"), no file: results cannot be written there; "
                + "their rows stay owed, and until they are written the state is not saved (the journal has everything); "
                + "move it away, the rows follow within seconds"
        case .bareReturns(let path):
            "the lines of \(path) end with CR alone, so no row can be added; the rows stay owed; give its lines LF or CRLF "
                + "as ends, or move it away"
        case .badDirectory(let path, let problem): "no row is written to output directory '\(path)': it \(problem)"
        case .malformedRow(let task, let problem): "the row of task \(task) can never be written: \(problem)"
        case .changing(let path): "\(path) is changed by another program all the time; the rows stay owed"
        }
    }
}
