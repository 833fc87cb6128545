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

    /// Opens a segment for reading; nil where it has just gone.
    func open(_ name: SegmentName) throws(JournalError) -> (any File)? {
        do { return try fileSystem.open(path(of: name), .read) } catch {
            if error.isNotFound { return nil }
            throw .file(error)
        }
    }
}
