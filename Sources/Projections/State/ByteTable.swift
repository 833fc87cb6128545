import Glibc

/// Gives distinct byte strings the numbers 0, 1, 2 … in the order in which they first came.
///
/// An open-addressing index over an arena: no heap object a string.
public struct ByteTable: Sendable {
    private var arena = ByteArena()
    private var references = ChunkedArray<ByteArena.Reference>()
    /// Each slot: 32 bits of the hash and the number + 1; 0 is free. In pages, so that a copy stays cheap; the first
    /// page is short, most tables are small.
    private var pages: [[UInt64]] = [[UInt64](repeating: 0, count: ByteTable.firstSlots)]
    private var mask = ByteTable.firstSlots - 1
    private static let firstSlots = 256
    private static let pageShift = 12

    /// Makes an empty table.
    public init() {}

    /// How many strings there are.
    public var count: Int { references.count }

    /// The number of a string, given now if it is new.
    public mutating func intern(_ bytes: UnsafeBufferPointer<UInt8>) -> (number: Int, isNew: Bool) {
        let hash = Self.hash(bytes)
        let at = find(bytes, hash)
        let entry = slot(at)
        if entry != 0 { return (Int(entry & 0xFFFF_FFFF) - 1, false) }
        let number = references.count
        references.append(arena.append(bytes))
        setSlot(at, to: UInt64(hash) << 32 | UInt64(number + 1))
        if references.count * 2 > mask { grow() }
        return (number, true)
    }

    /// The number of a string; nil where it is not in the table.
    @inline(__always)
    public func number(of bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        let entry = slot(find(bytes, Self.hash(bytes)))
        return entry == 0 ? nil : Int(entry & 0xFFFF_FFFF) - 1
    }

    /// The number of a text; nil where it is not in the table.
    public func number(of text: String) -> Int? {
        var text = text
        return text.withUTF8 { number(of: $0) }
    }

    /// Lends the bytes of a string.
    @inline(__always)
    public func with<R>(_ number: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
        try arena.with(references[number], body)
    }

    /// A string as text.
    public func text(_ number: Int) -> String { with(number) { String(decoding: $0, as: UTF8.self) } }

    @inline(__always)
    private func slot(_ index: Int) -> UInt64 { pages[index >> Self.pageShift][index & (1 << Self.pageShift - 1)] }

    @inline(__always)
    private mutating func setSlot(_ index: Int, to entry: UInt64) {
        pages[index >> Self.pageShift][index & (1 << Self.pageShift - 1)] = entry
    }

    @inline(__always)
    private func find(_ bytes: UnsafeBufferPointer<UInt8>, _ hash: UInt32) -> Int {
        var at = Int(hash) & mask
        while true {
            let entry = slot(at)
            if entry == 0 { return at }
            if entry >> 32 == UInt64(hash), equal(Int(entry & 0xFFFF_FFFF) - 1, bytes) { return at }
            at = (at + 1) & mask
        }
    }

    @inline(__always)
    private func equal(_ number: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let reference = references[number]
        guard Int(reference.count) == bytes.count else { return false }
        return arena.with(reference) { known in
            guard let left = known.baseAddress, let right = bytes.baseAddress else { return true }
            return memcmp(left, right, bytes.count) == 0
        }
    }

    /// Four times the slots; the entries carry what is needed to place them anew.
    private mutating func grow() {
        let old = pages
        let size = (mask + 1) * 4
        mask = size - 1
        let page = min(size, 1 << Self.pageShift)
        pages = (0..<(size / page)).map { _ in [UInt64](repeating: 0, count: page) }
        for entries in old {
            for entry in entries where entry != 0 {
                var at = Int(entry >> 32) & mask
                while slot(at) != 0 { at = (at + 1) & mask }
                setSlot(at, to: entry)
            }
        }
    }

    /// A multiplicative hash, eight bytes at a time. Ids come from users whom the manager trusts with its disk.
    @inline(__always)
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
        var h: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(bytes.count)
        let raw = UnsafeRawBufferPointer(bytes)
        var at = 0
        while at + 8 <= raw.count {
            h = (h ^ raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)) &* 0xFF51_AFD7_ED55_8CCD
            h ^= h >> 32
            at += 8
        }
        var rest: UInt64 = 0
        while at < raw.count {
            rest = rest << 8 | UInt64(raw[at])
            at += 1
        }
        h = (h ^ rest) &* 0xC4CE_B9FE_1A85_EC53
        return UInt32(truncatingIfNeeded: h ^ (h >> 29) ^ (h >> 32))
    }
}
