import EventLog

/// How far programs say they are.
extension Outbox {
    /// The end of a progress file that is looked at.
    private static let progressTailBytes = 4096

    /// The newest `progress: 0.4` line in the attempt's progress file, as far as it is whole; nil where there is none.
    func progress(of reference: AttemptReference) -> Double? {
        do throws(FileError) {
            let file = try fileSystem.open(path(of: reference, .progress), .read)
            defer { file.close() }
            let size = try file.sizeBytes()
            let start = max(0, size - Int64(Self.progressTailBytes))
            return Self.progress(in: try readBytes(of: file, at: start, count: Self.progressTailBytes))
        } catch { return nil }  // most programs write none
    }

    /// The last whole line of the form `progress: NUMBER` with a number from 0 to 1.
    static func progress(in bytes: [UInt8]) -> Double? {
        guard let end = bytes.lastIndex(of: 0x0A) else { return nil }
        for line in bytes[..<end].split(separator: 0x0A).reversed() {
            let text = String(decoding: line, as: UTF8.self)
            guard text.hasPrefix("progress:") else { continue }
            let number = text.dropFirst("progress:".count).filter { !$0.isWhitespace }
            if let value = Double(number), value >= 0, value <= 1 { return value }
        }
        return nil
    }
}
