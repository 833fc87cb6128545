import CScan

/// Whether some bytes stand among others.
public func contains(_ bytes: UnsafeBufferPointer<UInt8>, _ wanted: [UInt8]) -> Bool {
    clinux_find(bytes.baseAddress, bytes.count, wanted, wanted.count) != nil
}
