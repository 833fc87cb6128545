import CScan
import Glibc

/// Whether some bytes stand among others.
public func contains(_ bytes: UnsafeBufferPointer<UInt8>, _ wanted: [UInt8]) -> Bool {
    clinux_find(bytes.baseAddress, bytes.count, wanted, wanted.count) != nil
}

/// The offset of the first line end from an offset on; nil where there is none.
@inline(__always)
func lineEnd(in bytes: UnsafeBufferPointer<UInt8>, from start: Int = 0) -> Int? {
    guard let base = bytes.baseAddress, start < bytes.count, let found = memchr(base + start, 10, bytes.count - start)
    else { return nil }
    return UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
}

/// The offset of the last line end, not before an offset; nil where there is none.
func lastLineEnd(in bytes: [UInt8], from start: Int = 0) -> Int? {
    bytes.withUnsafeBufferPointer { bytes in
        guard let base = bytes.baseAddress, start < bytes.count,
            let found = clinux_find_last(base + start, bytes.count - start, 10)
        else { return nil }
        return found - base
    }
}
