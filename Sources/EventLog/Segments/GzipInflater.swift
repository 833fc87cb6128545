import CScan
import CZlib

/// Inflates gzip bytes piece by piece: any number of members, by any maker.
///
/// Checking trailers, zlib reads whole members and compares their CRC-32 and length: `verify`, backups, the comparison
/// after sealing. Otherwise it reads the data alone, and `cinflate` does it in half the time: every line carries a
/// checksum of its own, so a wrong byte is found whoever made it.
final class GzipInflater {
    private enum Decoder {
        case whole(UnsafeMutablePointer<z_stream>)
        case dataOnly(OpaquePointer)
    }

    private let decoder: Decoder

    init(checkingTrailers: Bool) {
        if checkingTrailers {
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            stream.initialize(to: z_stream())
            // 31: the largest window, and gzip's frame.
            precondition(czlib_inflate_init2(stream, 31) == Z_OK, "zlib cannot start: out of memory")
            decoder = .whole(stream)
        } else {
            guard let made = cinflate_make() else { preconditionFailure("inflate cannot start: out of memory") }
            decoder = .dataOnly(made)
        }
    }

    deinit {
        switch decoder {
        case .whole(let stream):
            inflateEnd(stream)
            stream.deallocate()
        case .dataOnly(let raw): cinflate_free(raw)
        }
    }

    /// What became of one step.
    enum Step: Equatable {
        /// Bytes were taken or made; go on.
        case going
        /// The member's data ended.
        case memberEnd
        /// The bytes are no gzip data: what is wrong with them.
        case corrupt(String)
    }

    /// Begins a new member.
    func reset() {
        switch decoder {
        case .whole(let stream): inflateReset(stream)
        case .dataOnly(let made): cinflate_reset(made)
        }
    }

    /// Takes from `input` and fills `output`; advances both counts.
    func step(
        _ input: UnsafeBufferPointer<UInt8>, taken: inout Int, into output: UnsafeMutableBufferPointer<UInt8>,
        made: inout Int
    ) -> Step {
        guard let from = input.baseAddress, let to = output.baseAddress else { return .going }
        switch decoder {
        case .whole(let stream):
            stream.pointee.next_in = UnsafeMutablePointer(mutating: from + taken)
            stream.pointee.avail_in = UInt32(input.count - taken)
            stream.pointee.next_out = to + made
            stream.pointee.avail_out = UInt32(output.count - made)
            let status = inflate(stream, Z_NO_FLUSH)
            taken = input.count - Int(stream.pointee.avail_in)
            made = output.count - Int(stream.pointee.avail_out)
            switch status {
            case Z_STREAM_END: return .memberEnd
            case Z_OK, Z_BUF_ERROR: return .going
            default: return .corrupt(stream.pointee.msg.map { String(cString: $0) } ?? "no gzip data")
            }
        case .dataOnly(let raw):
            switch cinflate_step(raw, from, input.count, &taken, to, output.count, &made) {
            case cinflate_ended: return .memberEnd
            case cinflate_corrupt: return .corrupt(String(cString: cinflate_problem(raw)))
            default: return .going
            }
        }
    }
}
