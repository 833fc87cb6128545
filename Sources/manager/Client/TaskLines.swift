import Projections

/// Task objects from JSON lines, or from a JSON array, in batches that one request can carry. All are checked first.
struct TaskLines {
    /// Bodies for `POST /tasks`, each an array.
    private(set) var batches: [[UInt8]] = []
    /// How many tasks there are.
    private(set) var count = 0

    private static let batchBytes = 4 << 20

    /// Reads a text. Throws a sentence with the place of the first bad task.
    init(_ text: [UInt8], name: String) throws(VerbFailure) {
        let first = text.first { !Self.isSpace($0) }
        if first == UInt8(ascii: "[") {
            try readArray(text, name)
        } else {
            try readLines(text, name)
        }
        close()
        guard count > 0 else { throw VerbFailure("\(name): there is no task in it", status: 1) }
    }

    /// Whether a text looks like JSON rather than YAML of a sweep.
    static func looksLikeJSON(_ text: [UInt8]) -> Bool {
        let first = text.first { !isSpace($0) }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 10 || byte == 13 || byte == 9 }

    private mutating func readLines(_ text: [UInt8], _ name: String) throws(VerbFailure) {
        var number = 0
        for line in text.split(separator: 10, omittingEmptySubsequences: false) {
            number += 1
            guard !line.allSatisfy(Self.isSpace) else { continue }
            try add(Array(line), "\(name), line \(number)")
        }
    }

    private mutating func readArray(_ text: [UInt8], _ name: String) throws(VerbFailure) {
        var items: [[UInt8]] = []
        var failure: JSONError?
        text.withUnsafeBufferPointer { buffer in
            do throws(JSONError) {
                var reader = JSONReader(buffer)
                try reader.array { reader throws(JSONError) in
                    var item: [UInt8] = []
                    try reader.compact(into: &item)
                    items.append(item)
                }
                try reader.finish()
            } catch { failure = error }
        }
        if let failure { throw VerbFailure("\(name): \(failure)", status: 1) }
        for (index, item) in items.enumerated() { try add(item, "\(name), task \(index + 1)") }
    }

    private mutating func add(_ item: [UInt8], _ place: String) throws(VerbFailure) {
        let specs: [TaskSpec]
        do throws(JSONError) { specs = try TaskRequest.specs(item) } catch {
            throw VerbFailure("\(place): \(error)", status: 1)
        }
        guard specs.count == 1, let spec = specs.first, item.first(where: { !Self.isSpace($0) }) != UInt8(ascii: "[")
        else { throw VerbFailure("\(place): one task object a line is due", status: 1) }
        if spec.id?.isEmpty ?? true { throw VerbFailure("\(place): task_id is missing", status: 1) }
        if spec.phase.isEmpty { throw VerbFailure("\(place): phase is missing", status: 1) }
        if openCount == Bounds.commandEvents || open.count + item.count > Self.batchBytes { close() }
        open.append(open.isEmpty ? UInt8(ascii: "[") : UInt8(ascii: ","))
        open.append(contentsOf: item)
        openCount += 1
        count += 1
    }

    private var open: [UInt8] = []
    private var openCount = 0

    private mutating func close() {
        guard !open.isEmpty else { return }
        batches.append(open + [UInt8(ascii: "]")])
        open = []
        openCount = 0
    }
}
