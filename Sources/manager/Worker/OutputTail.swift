/// The last bytes of a stream: what an error message shows of standard error.
struct OutputTail: Sendable {
    /// How many bytes are kept.
    let capacityBytes: Int
    private var bytes: [UInt8] = []
    private var isCut = false

    /// Keeps nothing yet.
    init(capacityBytes: Int) {
        self.capacityBytes = capacityBytes
    }

    /// Adds what came next.
    mutating func append(_ chunk: some Collection<UInt8>) {
        bytes.append(contentsOf: chunk.suffix(capacityBytes))
        isCut = isCut || chunk.count > capacityBytes
        // Cut in large steps only: the cost a byte stays constant.
        if bytes.count > 4 * capacityBytes { trim() }
    }

    private mutating func trim() {
        guard bytes.count > capacityBytes else { return }
        bytes.removeFirst(bytes.count - capacityBytes)
        isCut = true
    }

    /// `head` alone where nothing was kept, else `head: …` with the end of the stream, at most `maximumBytes` in
    /// all; broken UTF-8 is replaced, white space at the end dropped.
    func message(_ head: String, maximumBytes: Int) -> String {
        let wasCut = isCut || bytes.count > capacityBytes
        var kept = bytes.suffix(capacityBytes)
        while wasCut, let first = kept.first, first & 0xC0 == 0x80 { kept.removeFirst() }
        var text = String(decoding: kept, as: UTF8.self)
        while let last = text.unicodeScalars.last, last.properties.isWhitespace || last == "\0" {
            text.unicodeScalars.removeLast()
        }
        guard !text.isEmpty else { return head }
        let room = maximumBytes - head.utf8.count - ": ".utf8.count
        guard wasCut || text.utf8.count > room else { return "\(head): \(text)" }
        return "\(head): …\(Self.end(of: text, maximumBytes: room - "…".utf8.count))"
    }

    /// The longest end of a text that has at most so many bytes and begins at a whole character.
    static func end(of text: String, maximumBytes: Int) -> String {
        var tail = text.utf8.suffix(max(0, maximumBytes))
        while let first = tail.first, first & 0xC0 == 0x80 { tail.removeFirst() }
        return String(decoding: tail, as: UTF8.self)
    }
}
