/// Tells when a JSON object that arrives in pieces is whole. Looks at each byte once; does not validate.
struct ObjectScanner {
    /// What is known so far.
    enum Progress: Equatable {
        /// More bytes are needed.
        case unfinished
        /// The object ends before this offset.
        case whole(Int)
        /// The bytes cannot become an object.
        case noObject
    }

    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var scanned = 0

    /// Looks at the bytes that are new since the last call.
    mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>) -> Progress {
        while scanned < bytes.count {
            let byte = bytes[scanned]
            scanned += 1
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == 92 {
                    isEscaped = true
                } else if byte == 34 {
                    isInString = false
                }
                continue
            }
            switch byte {
            case 34 where depth > 0: isInString = true
            case 123: depth += 1
            case 91 where depth > 0: depth += 1
            case 125, 93:
                depth -= 1
                if depth == 0 { return .whole(scanned) }
                if depth < 0 { return .noObject }
            case 32, 9, 13, 10: continue
            default: if depth == 0 { return .noObject }
            }
        }
        return .unfinished
    }
}
