/// A result file whose place one with a larger header took. Programs that had it open may append to it for a while.
struct PreviousFile: Sendable {
    /// The scan that removes the file: the one after the next.
    static let scansKept = 2
    /// How many may stand beside one result file.
    static let maximumCount = 16

    /// The name that was left to it.
    let path: String
    /// How many columns its header has.
    let columnCount: Int
    /// Up to where its rows stand in the new file; nil when that is not known, after a crash or an error.
    var carriedTo: Int64?
    /// How many scans have found it.
    var scans = 0

    /// Names a file; no scan has found it yet.
    init(path: String, columnCount: Int, carriedTo: Int64?) {
        self.path = path
        self.columnCount = columnCount
        self.carriedTo = carriedTo
    }

    /// The name of the n-th previous file, from 1: `NAME.previous`, `NAME.previous.2` …
    static func path(_ number: Int, of path: String) -> String {
        path + ".previous" + (number == 1 ? "" : ".\(number)")
    }
}
