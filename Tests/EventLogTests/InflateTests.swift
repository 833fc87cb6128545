import CScan
import CZlib
import TestSupport
import Testing

@testable import EventLog

/// Our inflate against zlib's: the same bytes, the same end, the same refusals.
struct InflateTests {
    @Test("what zlib deflates at any level, cut into any pieces, comes out as it went in", arguments: [1, 2, 3, 4])
    func piecewise(seed: UInt64) {
        var random = SeededGenerator(seed)
        for round in 0..<250 {
            let plain = Self.text(&random)
            var data = Self.deflate(plain, level: Int32(random.next() % 10), strategy: Int32(random.next() % 5))
            let size = data.count
            data += (0..<(random.next() % 16)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let found = Self.inflate(data, &random)
            #expect(found.step == .memberEnd, "seed \(seed), round \(round)")
            #expect(found.taken == size, "seed \(seed), round \(round): bytes behind the stream stay in the input")
            #expect(found.bytes == plain, "seed \(seed), round \(round)")
        }
    }

    @Test("room for exactly what comes out is enough, as for zlib", arguments: [9, 10])
    func exactRoom(seed: UInt64) {
        var random = SeededGenerator(seed)
        for round in 0..<200 {
            let plain = Self.text(&random) + [10]
            let data = Self.deflate(plain, level: Int32(random.next() % 10), strategy: Int32(random.next() % 5))
            let inflater = GzipInflater(checkingTrailers: false)
            var (taken, made) = (0, 0)
            var step = GzipInflater.Step.going
            let bytes = [UInt8](unsafeUninitializedCapacity: plain.count) { buffer, filled in
                let room = UnsafeMutableBufferPointer(rebasing: buffer[..<plain.count])
                step = data.withUnsafeBufferPointer { inflater.step($0, taken: &taken, into: room, made: &made) }
                filled = made
            }
            #expect(step == .memberEnd, "seed \(seed), round \(round)")
            #expect(taken == data.count && bytes == plain, "seed \(seed), round \(round)")
        }
    }

    @Test("flipped bits: refused where zlib refuses, and the same bytes where it does not", arguments: [5, 6, 7, 8])
    func flipped(seed: UInt64) {
        var random = SeededGenerator(seed)
        for round in 0..<250 {
            var data = Self.deflate(Self.text(&random), level: 6, strategy: Int32(random.next() % 5))
            for _ in 0...(random.next() % 4) {
                data[Int(random.next() % UInt64(min(data.count, 120)))] ^= 1 << UInt8(random.next() % 8)
            }
            let theirs = Self.zlibInflate(data)
            let ours = Self.inflate(data, &random)
            #expect((ours.step == .memberEnd) == theirs.isWhole, "seed \(seed), round \(round)")
            if theirs.isWhole { #expect(ours.bytes == theirs.bytes, "seed \(seed), round \(round)") }
        }
    }

    private static func text(_ random: inout SeededGenerator) -> [UInt8] {
        let kind = random.next() % 3
        var bytes: [UInt8] = []
        for index in 0..<Int(random.next() % 5000) {
            let pick = random.next()
            switch kind {
            case 0: bytes.append(UInt8(truncatingIfNeeded: pick))
            case 1: bytes.append(97 + UInt8(pick % 20))
            default:
                bytes.append(index > 900 && pick % 30 != 0 ? bytes[index - 900 + Int(pick % 2)] : UInt8(pick % 128))
            }
        }
        return bytes
    }

    private static func deflate(_ plain: [UInt8], level: Int32, strategy: Int32) -> [UInt8] {
        var stream = z_stream()
        precondition(czlib_deflate_init_raw(&stream, level, strategy) == Z_OK)
        defer { deflateEnd(&stream) }
        var input = plain
        var output = [UInt8](repeating: 0, count: plain.count * 2 + 200)
        let size = input.withUnsafeMutableBufferPointer { from in
            output.withUnsafeMutableBufferPointer { to -> Int in
                stream.next_in = from.baseAddress
                stream.avail_in = UInt32(from.count)
                stream.next_out = to.baseAddress
                stream.avail_out = UInt32(to.count)
                precondition(CZlib.deflate(&stream, Z_FINISH) == Z_STREAM_END)
                return to.count - Int(stream.avail_out)
            }
        }
        return Array(output[..<size])
    }

    /// Inflates with our decoder, in pieces of random sizes.
    private static func inflate(_ data: [UInt8], _ random: inout SeededGenerator) -> (
        step: GzipInflater.Step, bytes: [UInt8], taken: Int
    ) {
        let inflater = GzipInflater(checkingTrailers: false)
        let largest = random.next() % 2 == 0 ? 4 : UInt64(4000)
        var bytes: [UInt8] = []
        var at = 0
        while true {
            let input = Array(data[at..<min(data.count, at + 1 + Int(random.next() % largest))])
            var taken = 0
            var made = 0
            var step = GzipInflater.Step.going
            bytes += [UInt8](unsafeUninitializedCapacity: 1 + Int(random.next() % largest)) { buffer, filled in
                step = input.withUnsafeBufferPointer { inflater.step($0, taken: &taken, into: buffer, made: &made) }
                filled = made
            }
            at += taken
            if step != .going || (at == data.count && made == 0) { return (step, bytes, at) }
        }
    }

    private static func zlibInflate(_ data: [UInt8]) -> (isWhole: Bool, bytes: [UInt8]) {
        var stream = z_stream()
        precondition(czlib_inflate_init2(&stream, -15) == Z_OK)
        defer { inflateEnd(&stream) }
        var input = data
        var output = [UInt8](repeating: 0, count: 1 << 20)
        return input.withUnsafeMutableBufferPointer { from in
            output.withUnsafeMutableBufferPointer { to in
                stream.next_in = from.baseAddress
                stream.avail_in = UInt32(from.count)
                stream.next_out = to.baseAddress
                stream.avail_out = UInt32(to.count)
                let status = CZlib.inflate(&stream, Z_FINISH)
                return (status == Z_STREAM_END, Array(to[..<(to.count - Int(stream.avail_out))]))
            }
        }
    }
}
