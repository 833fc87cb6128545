import EventLog
import Projections
import TestSupport

/// A reader of bytes that anybody may have written, and what must hold whatever these are. A fuzzer makes them up; what it
/// found once is kept under `Fixtures/fuzz` and tried in every run of the tests.
enum FuzzTarget: String, CaseIterable, Sendable {
    /// A plain journal file: readers, verify, repair, a start, the fold and the state file.
    case lines
    /// A sealed journal file: gzip members of any maker.
    case gzip
    /// The bytes of one connection of the workers' port.
    case `protocol`
    /// A result file: read, and a row appended to it.
    case csv
    /// A state file, ours or a Python manager's.
    case state

    /// Tries one input. Throws a `FuzzFinding` where something does not hold; a crash, a hang and memory without bounds are
    /// for the fuzzer to see.
    func run(_ input: [UInt8]) throws {
        // The first byte chooses among the ways in.
        guard let way = input.first else { return }
        let bytes = Array(input.dropFirst())
        switch self {
        case .lines: try LineFuzzing.run(bytes, way: way)
        case .gzip: try GzipFuzzing.run(bytes, way: way)
        case .protocol: try ProtocolFuzzing.run(bytes, way: way)
        case .csv: try CSVFuzzing.run(bytes, way: way)
        case .state: try StateFuzzing.run(bytes, way: way)
        }
    }
}

/// Something that must hold and does not.
struct FuzzFinding: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The lines with right checksums, where they end as a line with one does: what no fuzzer would find by itself.
func withRightChecksums(_ bytes: [UInt8]) -> [UInt8] {
    let ending = Array(#","crc":"00000000"}"#.utf8)
    var out: [UInt8] = []
    for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
        if !out.isEmpty || line.startIndex > 0 { out.append(10) }
        guard line.count > ending.count, line.suffix(ending.count).prefix(8).elementsEqual(ending.prefix(8)) else {
            out += line
            continue
        }
        let covered = line.dropLast(ending.count)
        out += covered
        let digits = String(crc32c(Array(covered)), radix: 16)
        out += #","crc":"\#(String(repeating: "0", count: 8 - digits.count))\#(digits)"}"#.utf8
    }
    return out
}

/// A data directory whose journal is one file, on a disk in memory.
struct FuzzedJournal {
    let fileSystem: SimulatedFileSystem
    let directory: JournalDirectory

    init(_ bytes: [UInt8], isCompressed: Bool) throws {
        fileSystem = SimulatedDisk().process()
        try fileSystem.createDirectories("/data/journal")
        directory = JournalDirectory("/data/journal", on: fileSystem)
        let name = SegmentName(first: LogPosition(1), isCompressed: isCompressed)
        try writeDurably(bytes, to: "/data/journal/" + name.text, on: fileSystem)
    }

    /// How far a reader comes, the state that it folds, and what it refuses.
    func fold() throws -> (state: ManagerState, last: LogPosition, refused: JournalError?) {
        var state = ManagerState()
        var last = LogPosition.zero
        var isFolded = true
        var finding: FuzzFinding?
        do throws(JournalError) {
            try LogReader(directory).forEach { line throws(JournalError) in
                if line.position <= last { finding = FuzzFinding("seq \(line.position) follows \(last)") }
                last = line.position
                guard isFolded else { return true }
                do throws(EventError) { try state.apply(line) } catch { isFolded = false }
                return true
            }
        } catch { return (state, last, error) }
        if let finding { throw finding }
        return (state, last, nil)
    }

    /// What a reader refuses, verify must name; and it must name nothing where nothing is wrong behind a repair.
    func checkVerifyAndRepair(_ refused: JournalError?) throws {
        let report: Verifier.Report
        do throws(JournalError) { report = try Verifier(directory).run(judgingEnd: false) } catch {
            guard case .newerFormat = error else { throw FuzzFinding("verify ends with: \(error)") }
            return
        }
        if let refused, report.damage.isEmpty { throw FuzzFinding("verify finds nothing, a reader says: \(refused)") }
        let repair = JournalRepair(directory, stateBeyond: { _ in nil })
        do throws(JournalError) { try repair.apply(try repair.plan()) } catch {
            guard case .refused = error else { throw FuzzFinding("repair ends with: \(error)") }
            return
        }
        // That a segment does not fit its successor is noted by the next start.
        let left = try Verifier(directory).run(judgingEnd: false).damage.filter { $0.kind != .brokenChain }
        if let first = left.first { throw FuzzFinding("repair leaves: \(first)") }
        if let still = try fold().refused { throw FuzzFinding("a reader refuses what was repaired: \(still)") }
    }

    /// A start refuses, or what it goes on from can be read to its end.
    func checkStart() throws {
        let store = LocalJournalStore(directory, segmentBytes: 1 << 20)
        defer { store.close() }
        let opened: OpenedJournal
        do throws(JournalError) { opened = try store.open(RecoveryHints()) } catch { return }
        let (_, last, refused) = try fold()
        if let refused { throw FuzzFinding("a start takes what a reader refuses: \(refused)") }
        if last > opened.last { throw FuzzFinding("a start goes on at seq \(opened.last), readers show \(last)") }
    }
}

/// Writes a file whole.
func writeDurably(_ bytes: [UInt8], to path: String, on fileSystem: any FileSystem) throws {
    let file = try fileSystem.open(path, .replace)
    defer { file.close() }
    try bytes.withUnsafeBytes { try file.write($0, at: 0) }
    try file.sync()
}

/// Whether a text is one JSON value by the standard, no key twice.
func isJSON(_ bytes: some Collection<UInt8>) -> Bool {
    Array(bytes).withUnsafeBufferPointer { buffer in
        var reader = JSONReader(buffer)
        do throws(JSONError) {
            try reader.skip()
            try reader.finish()
            return true
        } catch { return false }
    }
}
