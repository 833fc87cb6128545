/// An array in chunks: a copy of it shares all chunks, and a write after a copy copies one chunk, not everything.
///
/// So a snapshot may hold the state while the manager goes on, without a stall.
public struct ChunkedArray<Element: Sendable>: Sendable {
    @usableFromInline static var shift: Int { 10 }
    private var chunks: [[Element]] = []
    /// How many elements there are.
    public private(set) var count = 0

    /// Makes an empty array.
    public init() {}

    /// Adds an element at the end.
    public mutating func append(_ element: Element) {
        if count & (1 << Self.shift - 1) == 0 {
            var chunk: [Element] = []
            chunk.reserveCapacity(1 << Self.shift)
            chunks.append(chunk)
        }
        chunks[chunks.count - 1].append(element)
        count += 1
    }

    /// The element at an index from 0.
    @inline(__always)
    public subscript(index: Int) -> Element {
        get { chunks[index >> Self.shift][index & (1 << Self.shift - 1)] }
        _modify { yield &chunks[index >> Self.shift][index & (1 << Self.shift - 1)] }
    }
}
