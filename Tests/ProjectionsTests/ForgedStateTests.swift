import Crypto
import EventLog
import Foundation
import Projections
import Testing

/// State files with a right checksum that no fold has written: refused where they could end a manager later.
@Suite("State files that somebody made up")
struct ForgedStateTests {
    /// A state with a worker, a run, a key of a claim and a heartbeat.
    private func sample() throws -> String {
        var folding = Folding()
        for id in ["a", "b", "c"] { try folding.add(id) }
        _ = try folding.claim("w")
        try folding.fail("a")
        var assignment = Event.Assignment(task: "b", worker: "w", attempt: 1)
        assignment.heartbeatSeconds = 5
        assignment.claimKey = "k"
        try folding.fold(.assigned(assignment), .started(version: "1", host: "h", pid: 1))
        return String(decoding: StateEncoder.bytes(folding.state), as: UTF8.self)
    }

    /// The file with a right checksum.
    private func sealed(_ text: String) -> [UInt8] {
        let covered = Array((text.components(separatedBy: ",\"checksum\":").first ?? "").utf8)
        return covered + Array(",\"checksum\":\"sha256:\(hexString(SHA256.hash(data: covered)))\"}\n".utf8)
    }

    @Test("the sample itself is read")
    func sampleIsRead() throws {
        let text = try sample()
        let state = try StateDecoder.state(sealed(text))
        #expect(StateEncoder.bytes(state) == Array(text.utf8))
    }

    @Test(
        "are refused",
        arguments: [
            ["\"holding\":[1]", "\"holding\":[3]"],
            ["\"runs\":[{\"phase\":0", "\"runs\":[{\"phase\":7"],
            ["\"failed\":1", "\"failed\":9223372036854775807"],
            ["\"failures_in_row\":1", "\"failures_in_row\":9223372036854775807"],
            ["\"count\":1", "\"count\":9223372036854775807"],
            ["\"durations\":[[", "\"durations\":[[2147483647,1],["],
            ["\"first_us\":", "\"first_us\":-9"],
            ["\"tasks\":[[1,1]]", "\"tasks\":[[3,1]]"],
            ["\"seed\":42,", ""], ["\"output_dirs\":[\"results_p\"],", ""], ["\"config\":{\"x\":1},", ""],
            ["\"workers\":[", "\"workers\":[{\"worker\":\"w\"},"],
            ["\"template_runs\":[[0,0]]", "\"template_runs\":[[0,9]]"],
        ])
    func refused(change: [String]) throws {
        let text = try sample()
        let forged = text.replacingOccurrences(of: change[0], with: change[1])
        try #require(forged != text, "the sample has no \(change[0])")
        #expect(throws: SnapshotProblem.self) { try StateDecoder.state(sealed(forged)) }
    }

    @Test("the greatest counter has no successor, and ends no manager")
    func greatestCounter() throws {
        let text = try sample().replacingOccurrences(
            of: "\"greatest_counter\":-1", with: "\"greatest_counter\":9223372036854775807")
        #expect(try StateDecoder.state(sealed(text)).nextCounter == .max)
    }
}

@Suite("Compact JSON")
struct CompactJSONTests {
    /// One that copied what it has at each array would take minutes here.
    @Test("of very many arrays is the text again, without white space")
    func manyArrays() throws {
        let arrays = Array(repeating: " [ [ ] , 1 ] ", count: 200_000)
        let text = Array("{ \"x\" : [\(arrays.joined(separator: ","))] }".utf8)
        var compact: [UInt8] = []
        try text.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            try reader.compact(into: &compact)
            try reader.finish()
        }
        #expect(compact == text.filter { $0 != 32 })
    }

    @Test("of broken arrays is refused", arguments: ["[", "[1", "[1,", "[1,]", "[,1]", "[1 2]"])
    func broken(text: String) {
        Array(text.utf8).withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            #expect(throws: JSONError.self) { try reader.skip() }
        }
    }
}
