import EventLog
import Testing

@Suite("The journal's line")
struct LineTests {
    @Test("CRC-32C of 123456789 is e3069283")
    func checkValue() {
        #expect(crc32c(Array("123456789".utf8)) == 0xE306_9283)
        #expect(hexDigits(of: 0xE306_9283) == Array("e3069283".utf8))
    }

    @Test("the contract's example has the checksum that it shows")
    func contractsExample() throws {
        let text =
            #"{"seq":41,"time":"2025-12-19T23:10:15.123456Z","type":"assigned","task":"exp1_vary_width_0_42","worker":"gpu2","attempt":1,"crc":"17f089f4"}"#
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            let line = LogLine(bytes)
            #expect(line?.position == LogPosition(41))
            #expect(line?.time.description == "2025-12-19T23:10:15.123456Z")
            #expect(line?.hasMore == false)
        }
    }

    @Test("a flipped bit anywhere in a line is noticed")
    func flippedBits() {
        let text =
            #"{"seq":41,"time":"2025-12-19T23:10:15.123456Z","type":"assigned","task":"exp1_vary_width_0_42","worker":"gpu2","attempt":1,"crc":"17f089f4"}"#
        let bytes = Array(text.utf8)
        for index in bytes.indices {
            var flipped = bytes
            flipped[index] ^= 1
            flipped.withUnsafeBufferPointer { #expect(LogLine($0) == nil, "byte \(index)") }
        }
    }

    @Test("times are written and read to the microsecond, leap days included")
    func times() {
        for text in ["1970-01-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z", "2100-03-01T00:00:00.000001Z"] {
            let parsed = Array(text.utf8).withUnsafeBufferPointer { $0.baseAddress.flatMap { LogTime(written: $0) } }
            #expect(parsed?.description == text)
        }
    }

    @Test("segment names sort by their first event, and the compressed one comes first of two")
    func names() {
        let names = ["00000000000000000101.jsonl", "00000000000000000001.jsonl.gz", "00000000000000000101.jsonl.gz"]
        #expect(names.compactMap(SegmentName.init).sorted().map(\.text) == [names[1], names[2], names[0]])
        #expect(SegmentName("cut-00000000000000000001.jsonl") == nil)
    }
}
