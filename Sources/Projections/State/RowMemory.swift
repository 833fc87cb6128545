/// The rows of others that have spoken for a task, and how often each did: so that a row counts once when a result file
/// is read anew.
///
/// Kept in the state, not looked up in the journal, because history may be discarded and a decision must not depend on
/// that. Eight bytes a row, in the order in which they came; a copy shares all pages.
struct RowMemory: Sendable {
    private var hashes = ByteTable()
    private var counts = ChunkedArray<UInt32>()

    /// How many different rows there are.
    var count: Int { hashes.count }

    /// Notes that a row has spoken, `times` times.
    mutating func note(_ hash: RowHash, times: UInt32 = 1) {
        let (number, isNew) = withUnsafeBytes(of: hash.bits) { hashes.intern($0.assumingMemoryBound(to: UInt8.self)) }
        if isNew { counts.append(times) } else { counts[number] &+= times }
    }

    /// How often a row has spoken.
    func times(_ hash: RowHash) -> UInt32 {
        let number = withUnsafeBytes(of: hash.bits) { hashes.number(of: $0.assumingMemoryBound(to: UInt8.self)) }
        return number.map { counts[$0] } ?? 0
    }

    /// Appends all rows as a JSON array: a row's hash, or a pair of it and its count where that is not 1.
    func append(to out: inout [UInt8]) {
        out.append(91)
        for number in 0..<hashes.count {
            if number > 0 { out.append(44) }
            let times = counts[number]
            if times != 1 { out.append(91) }
            out.append(34)
            RowHash(bits: hashes.with(number) { UnsafeRawBufferPointer($0).loadUnaligned(as: UInt64.self) })
                .appendHex(to: &out)
            out.append(34)
            if times != 1 {
                out.append(44)
                appendJSONInteger(Int64(times), to: &out)
                out.append(93)
            }
        }
        out.append(93)
    }

    /// Reads what `append` wrote.
    static func read(_ reader: inout JSONReader) throws(JSONError) -> RowMemory {
        var memory = RowMemory()
        try reader.array { reader throws(JSONError) in
            guard try reader.kind() == .array else {
                memory.note(try hash(&reader))
                return
            }
            var hash: RowHash?
            var times: Int64 = 1
            try reader.array { reader throws(JSONError) in
                if hash == nil { hash = try Self.hash(&reader) } else { times = try reader.integer() }
            }
            guard let hash else { throw JSONError("a row's hash is due", offset: reader.at) }
            memory.note(hash, times: UInt32(clamping: times))
        }
        return memory
    }

    private static func hash(_ reader: inout JSONReader) throws(JSONError) -> RowHash {
        guard let hash = RowHash(hex: Array(try reader.string().utf8)) else {
            throw JSONError("16 hex digits are due", offset: reader.at)
        }
        return hash
    }
}
