/// The files of a journal's directory, by name.
public struct JournalDirectory: Sendable {
    /// The directory, such as `DATA/journal`.
    public let path: String
    /// The disk that it is on.
    public let fileSystem: any FileSystem

    /// Names a directory; nothing is read yet.
    public init(_ path: String, on fileSystem: any FileSystem) {
        self.path = path
        self.fileSystem = fileSystem
    }

    /// The path of a segment's file.
    public func path(of name: SegmentName) -> String { path + "/" + name.text }

    /// The segments that stand, in order; of two with the same first event only the compressed one.
    /// Empty where the directory does not exist.
    public func segments() throws(JournalError) -> [SegmentName] {
        var kept: [SegmentName] = []
        for name in try allSegments() where kept.last?.first != name.first { kept.append(name) }
        return kept
    }

    /// Every segment file that stands, in order, the compressed one first of two.
    func allSegments() throws(JournalError) -> [SegmentName] {
        do {
            return try fileSystem.list(path).compactMap(SegmentName.init).sorted()
        } catch {
            if error.isNotFound { return [] }
            throw .file(error)
        }
    }

    /// The positions of the baselines that stand, in order: states that the events before them are not needed for.
    public func baselines() throws(FileError) -> [LogPosition] {
        guard try fileSystem.metadata(path) != nil else { return [] }
        return try fileSystem.list(path).compactMap { name in
            guard name.hasPrefix("baseline-"), name.hasSuffix(".json.gz") else { return nil }
            return UInt64(name.dropFirst(9).dropLast(8)).map { LogPosition($0) }
        }.sorted()
    }

    /// The first event that is still there where history was discarded, that is where the journal begins later than at its
    /// first event and a baseline stands in for what is missing; else the first of all.
    public func historyBegins() throws(JournalError) -> LogPosition {
        guard let first = try segments().first?.first, first > LogPosition(1) else { return LogPosition(1) }
        do { return try baselines().contains { $0 >= first.previous } ? first : LogPosition(1) } catch {
            throw .file(error)
        }
    }

    /// The path of a baseline: the state at a position.
    public func baselinePath(_ position: LogPosition) -> String { "\(path)/baseline-\(position).json.gz" }

    /// Opens a segment for reading; nil where it has just gone.
    func open(_ name: SegmentName) throws(JournalError) -> (any File)? {
        do { return try fileSystem.open(path(of: name), .read) } catch {
            if error.isNotFound { return nil }
            throw .file(error)
        }
    }
}
