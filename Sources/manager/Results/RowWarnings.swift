/// Warns of rows that complete nothing, of each once, and of at most 20 of a file in one scan.
struct RowWarnings {
    private static let mostInScan = 20
    private static let mostRemembered = 10_000

    private let warn: @Sendable (String) -> Void
    private var said: Set<String> = []
    private var inScan: [String: Int] = [:]

    /// `warn` gets each sentence.
    init(_ warn: @escaping @Sendable (String) -> Void) { self.warn = warn }

    /// Warns of something in a file, unless it was said before. `once` tells that, where the words change with the file's
    /// header and the cause does not.
    mutating func say(_ text: String, of file: String, once: String? = nil) {
        guard !said.contains(once ?? text) else { return }
        if said.count < Self.mostRemembered { said.insert(once ?? text) }
        inScan[file, default: 0] += 1
        if inScan[file, default: 0] <= Self.mostInScan { warn(text) }
    }

    /// Ends a scan: tells how many warnings of a file were left out.
    mutating func endScan() {
        for (file, count) in inScan.sorted(by: { $0.key < $1.key }) where count > Self.mostInScan {
            warn("\(file): … and \(count - Self.mostInScan) more rows that complete nothing")
        }
        inScan = [:]
    }
}
