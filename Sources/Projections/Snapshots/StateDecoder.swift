import Crypto
import EventLog

/// Why a state file cannot be used.
public enum SnapshotProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The checksum is missing or wrong.
    case checksum
    /// Written by a fold that kept other things: replayed from the journal instead.
    case otherFold(Int64)
    /// A Python manager's state file: it has no `journal` member.
    case noJournalMember
    /// The bytes are no such file: what is wrong.
    case malformed(String)

    /// The text for people.
    public var description: String {
        switch self {
        case .checksum: "its checksum is wrong"
        case .otherFold(let version): "it was written by another version of the fold (\(version))"
        case .noJournalMember: "it has no 'journal' member"
        case .malformed(let what): "it is no state file: \(what)"
        }
    }
}

/// Reads a state file back into a state.
public enum StateDecoder {
    /// The place of a state file in the journal.
    public struct JournalMember: Sendable, Equatable {
        /// The last event that was folded.
        public var position = LogPosition.zero
        /// Its time; nil for the empty state.
        public var time: LogTime?
        /// Its line's checksum; nil for the empty state.
        public var crc: UInt32?
    }

    /// Checks the checksum alone; nil where it is right.
    public static func checksumProblem(_ bytes: [UInt8]) -> SnapshotProblem? {
        let mark = Array(",\"checksum\":\"sha256:".utf8)
        // ,"checksum":"sha256:<64>"}\n
        let at = bytes.count - mark.count - 64 - 3
        guard at > 0, bytes[at..<(at + mark.count)].elementsEqual(mark), bytes.suffix(3).elementsEqual([34, 125, 10])
        else { return namesJournal(bytes) == false ? .noJournalMember : .checksum }
        let stated = String(decoding: bytes[(at + mark.count)..<(at + mark.count + 64)], as: UTF8.self)
        return hexString(SHA256.hash(data: bytes[..<at])) == stated ? nil : .checksum
    }

    /// The position that a file says it stands at, found at its end without reading the rest; nil where there is none.
    public static func statedPosition(_ bytes: [UInt8]) -> LogPosition? {
        let end = Array(bytes.suffix(400))
        let mark = Array(",\"journal\":{\"seq\":".utf8)
        guard end.count > mark.count else { return nil }
        for start in (0...(end.count - mark.count)).reversed() where end[start...].starts(with: mark) {
            let digits = end[(start + mark.count)...].prefix { (48...57).contains($0) }
            return UInt64(String(decoding: digits, as: UTF8.self)).map { LogPosition($0) }
        }
        return nil
    }

    /// The `state_hash` that a file states, in hex, and the one that its bytes have; nil where it has none.
    public static func stateHashes(_ bytes: [UInt8]) -> (stated: String, found: String)? {
        let journal = Array(",\"journal\":{\"seq\":".utf8)
        let hash = Array(",\"state_hash\":\"sha256:".utf8)
        func last(_ mark: [UInt8]) -> Int? {
            let lowest = max(0, bytes.count - 500)
            guard bytes.count >= mark.count else { return nil }
            return (lowest...(bytes.count - mark.count)).last { bytes[$0...].starts(with: mark) }
        }
        guard let end = last(journal), let at = last(hash), bytes.count >= at + hash.count + 64 else { return nil }
        let stated = String(decoding: bytes[(at + hash.count)..<(at + hash.count + 64)], as: UTF8.self)
        return (stated, hexString(SHA256.hash(data: bytes[1..<end])))
    }

    /// Whether this program wrote the file, as far as its members tell; of a broken file by how it ends.
    public static func isOwn(_ bytes: [UInt8]) -> Bool {
        if let named = namesJournal(bytes) { return named }
        let end = String(decoding: bytes.suffix(400), as: UTF8.self)
        return end.contains("\"journal\":{\"seq\"") || end.contains("\"checksum\":\"sha256:")
    }

    /// Whether the top level has the members `journal` or `checksum`; nil where the text is broken.
    private static func namesJournal(_ bytes: [UInt8]) -> Bool? {
        bytes.withUnsafeBufferPointer { buffer in
            var found = false
            var reader = JSONReader(buffer, formOnly: true)
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    if key == "journal" || key == "checksum" { found = true }
                    try reader.skip()
                }
                try reader.finish()
                return found
            } catch { return nil }
        }
    }

    /// Reads a whole file, its checksum first. `ofOlderFolds`: also one that an earlier version of the fold wrote, for where
    /// the events are gone, or where its tasks or its place in the journal are all that is asked for: those are the same.
    public static func state(
        _ bytes: [UInt8], ofOlderFolds: Bool = false
    ) throws(SnapshotProblem) -> ManagerState {
        if let problem = checksumProblem(bytes) { throw problem }
        var state = ManagerState()
        var problem: SnapshotProblem?
        bytes.withUnsafeBufferPointer { buffer in
            let reading = StateReading()
            do throws(JSONError) {
                try reading.read(buffer)
                let version = reading.more.version
                let isReadable = ofOlderFolds && StateEncoder.readableVersions.contains(version)
                if version != StateEncoder.foldVersion, !isReadable {
                    problem = .otherFold(version)
                } else {
                    state = try reading.build()
                }
            } catch { problem = .malformed(error.description) }
        }
        if let problem { throw problem }
        return state
    }
}
