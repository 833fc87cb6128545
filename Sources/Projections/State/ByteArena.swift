/// Bytes that are only ever added: ids, configs, errors. A copy shares all chunks but the last that is written to.
public struct ByteArena: Sendable {
    /// Where a run of bytes stands.
    public struct Reference: Sendable {
        var chunk: UInt32 = 0
        var start: UInt32 = 0
        /// How many bytes.
        public var count: UInt32 = 0
    }

    private static let chunkBytes = 256 << 10
    private var chunks: [[UInt8]] = []

    /// Adds bytes and tells where they stand.
    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) -> Reference {
        if chunks.isEmpty || chunks[chunks.count - 1].count + bytes.count > Self.chunkBytes {
            var chunk: [UInt8] = []
            chunk.reserveCapacity(max(Self.chunkBytes, bytes.count))
            chunks.append(chunk)
        }
        let last = chunks.count - 1
        let start = chunks[last].count
        chunks[last].append(contentsOf: bytes)
        return Reference(chunk: UInt32(last), start: UInt32(start), count: UInt32(bytes.count))
    }

    /// Lends the bytes of a reference.
    @inline(__always)
    func with<R>(_ reference: Reference, _ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
        if reference.count == 0 { return try body(UnsafeBufferPointer(start: nil, count: 0)) }
        return try chunks[Int(reference.chunk)].withUnsafeBufferPointer {
            let start = Int(reference.start)
            return try body(UnsafeBufferPointer(rebasing: $0[start..<(start + Int(reference.count))]))
        }
    }

    /// A copy of the bytes.
    func bytes(_ reference: Reference) -> [UInt8] { with(reference) { Array($0) } }
}
