import CScan
import EventLog

/// Where the events of each task stand in a stretch of the journal, and where each of these tasks stood at its end.
///
/// Made from the journal, for speed alone: who reads it compares the checksum of the stretch's last line with the
/// journal's, and reads the journal itself where none is to be had. The form is described in JournalFormat.md.
public struct TaskIndex: Sendable {
    static let magic = Array("MGRTIDX2".utf8)
    static let headerBytes = 64
    /// Every so many tasks, the place of a task's entry is noted.
    static let stride = 256

    /// The first event of the stretch.
    public let first: LogPosition
    /// The last event of the stretch, the last of a command.
    public let last: LogPosition
    /// The checksum of that event's line.
    public let lastCRC: UInt32
    /// The bytes of the stretch's lines.
    public let lineBytes: UInt64
    /// True where a state was written at the stretch's end.
    public let hasState: Bool
    /// How many tasks have events in the stretch.
    public let count: Int
    private let bytes: [UInt8]
    private let summaryEnd: Int

    /// Reads a file's bytes; nil where they are not whole or of another form.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headerBytes + 4, bytes.starts(with: Self.magic) else { return nil }
        func number(_ at: Int) -> UInt64 {
            bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
        }
        let body = bytes.count - 4
        let stated = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: body, as: UInt32.self) }
        let actual = bytes.withUnsafeBufferPointer { crc32c(UnsafeBufferPointer(rebasing: $0[..<body])) }
        guard UInt32(littleEndian: stated) == actual else { return nil }
        first = LogPosition(UInt64(littleEndian: number(8)))
        last = LogPosition(UInt64(littleEndian: number(16)))
        lineBytes = UInt64(littleEndian: number(24))
        let flags = UInt64(littleEndian: number(32))
        lastCRC = UInt32(truncatingIfNeeded: flags)
        hasState = flags >> 32 & 1 == 1
        guard let count = Int(exactly: UInt64(littleEndian: number(40))),
            let summary = Int(exactly: UInt64(littleEndian: number(48))), count < 1 << 32, summary < 1 << 32
        else { return nil }
        self.count = count
        summaryEnd = Self.headerBytes + summary
        guard summaryEnd + 8 * count + 4 * Self.samples(count) <= body, first <= last else { return nil }
        self.bytes = bytes
    }

    static func samples(_ count: Int) -> Int { (count + stride - 1) / stride }

    /// What is known at the stretch's end besides the tasks, JSON.
    var summary: ArraySlice<UInt8> { bytes[Self.headerBytes..<summaryEnd] }

    /// What the stretch tells of one task.
    public struct Entry: Sendable {
        /// Where it stands at the end, see `TaskCode`.
        var code: UInt64
        /// Where its events stand.
        public var positions: [LogPosition]
    }

    /// What the stretch tells of a task; nil where it has no events in it.
    public func entry(_ hash: UInt64) -> Entry? {
        bytes.withUnsafeBytes { raw in
            find(hash, from: 0, raw).flatMap { isEqual, index in isEqual ? entry(at: index, raw) : nil }
        }
    }

    /// Where each of these tasks stands at the stretch's end, of those that have events in it. `hashes` ascend.
    func codes(of hashes: [UInt64]) -> [(hash: UInt64, code: UInt64)] {
        bytes.withUnsafeBytes { raw in
            var found: [(hash: UInt64, code: UInt64)] = []
            var index = 0
            for hash in hashes {
                guard let (isEqual, at) = find(hash, from: index, raw) else { break }
                index = at
                if isEqual { found.append((hash, code(at: at, raw))) }
            }
            return found
        }
    }

    /// The place of a hash among all, or of the next greater; nil where all from `start` on are less. Gallops.
    private func find(_ hash: UInt64, from start: Int, _ raw: UnsafeRawBufferPointer) -> (isEqual: Bool, index: Int)? {
        func value(_ index: Int) -> UInt64 {
            UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: summaryEnd + 8 * index, as: UInt64.self))
        }
        var low = start
        var reach = 1
        while low + reach < count, value(low + reach) < hash {
            low += reach
            reach *= 2
        }
        var high = min(count, low + reach + 1)
        while low < high {
            let middle = (low + high) / 2
            if value(middle) < hash { low = middle + 1 } else { high = middle }
        }
        return low < count ? (value(low) == hash, low) : nil
    }

    private func code(at index: Int, _ raw: UnsafeRawBufferPointer) -> UInt64 {
        var reader = entryReader(at: index, raw)
        return reader.next()
    }

    private func entry(at index: Int, _ raw: UnsafeRawBufferPointer) -> Entry {
        var reader = entryReader(at: index, raw)
        var entry = Entry(code: reader.next(), positions: [])
        var position = first.rawValue
        for _ in 0..<reader.next() {
            position &+= reader.next()
            entry.positions.append(LogPosition(position))
        }
        return entry
    }

    /// Stands at the entry of a task: from the last place that is noted, over the entries between.
    private func entryReader(at index: Int, _ raw: UnsafeRawBufferPointer) -> VariableNumbers {
        let samples = summaryEnd + 8 * count
        let entries = samples + 4 * Self.samples(count)
        let start = raw.loadUnaligned(fromByteOffset: samples + 4 * (index / Self.stride), as: UInt32.self)
        var reader = VariableNumbers(raw, from: entries + Int(UInt32(littleEndian: start)), to: bytes.count - 4)
        for _ in 0..<(index % Self.stride) {
            _ = reader.next()
            reader.skip(reader.next())
        }
        return reader
    }
}

/// Numbers of seven bits a byte, the least first; the high bit says that more follow (LEB128).
struct VariableNumbers {
    private let raw: UnsafeRawBufferPointer
    private var at: Int
    private let end: Int

    init(_ raw: UnsafeRawBufferPointer, from start: Int, to end: Int) {
        self.raw = raw
        at = start
        self.end = end
    }

    /// The next one; 0 at the end.
    mutating func next() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < end, shift < 64 {
            let byte = raw[at]
            at += 1
            value |= UInt64(byte & 127) << shift
            if byte < 128 { break }
            shift += 7
        }
        return value
    }

    /// Passes over so many.
    mutating func skip(_ count: UInt64) {
        var left = count
        while left > 0, at < end {
            if raw[at] < 128 { left -= 1 }
            at += 1
        }
    }

    static func append(_ number: UInt64, to out: inout [UInt8]) {
        var rest = number
        while rest >= 128 {
            out.append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        out.append(UInt8(rest))
    }
}

extension TaskIndex {
    /// A task's id as 64 bits, the same for ever: eight bytes at a time, multiplied and folded (after MurmurHash3's end).
    public static func hash(_ id: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var h: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(id.count)
        let raw = UnsafeRawBufferPointer(id)
        var at = 0
        while at < raw.count {
            var word: UInt64 = 0
            if at + 8 <= raw.count {
                word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            } else {
                for offset in 0..<(raw.count - at) { word |= UInt64(raw[at + offset]) << UInt64(8 * offset) }
            }
            h = mixed(h ^ word)
            at += 8
        }
        return mixed(h)
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var h = value
        h = (h ^ (h >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        h = (h ^ (h >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return h ^ (h >> 33)
    }

    /// The same of an id's text.
    public static func hash(_ id: String) -> UInt64 {
        var id = id
        return id.withUTF8 { hash($0) }
    }
}

/// Where a task stands, as one number: which kind of task it is (phase and what it waits for), and its status.
struct TaskCode {
    /// An id that no `added` event names.
    static let unknown: UInt64 = 7

    var kind: Int
    var status: TaskStatus

    init(kind: Int, status: TaskStatus) {
        self.kind = kind
        self.status = status
    }

    /// Nil for an id that no `added` event names.
    init?(_ number: UInt64) {
        guard let status = TaskStatus(rawValue: UInt8(number & 7)) else { return nil }
        self.init(kind: Int(truncatingIfNeeded: number >> 3), status: status)
    }

    var number: UInt64 { UInt64(kind) << 3 | UInt64(status.rawValue) }
}
