import EventLog
import Projections

/// Times, durations and sizes as users write them.
enum MomentText {
    /// What is wrong with a text.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    /// The moment that `--at` and `--seq` name; `.now` where neither is given.
    static func moment(at: String?, seq: String?) throws(Malformed) -> Moment {
        if at != nil && seq != nil { throw Malformed(description: "give a time or a seq, not both") }
        if let seq {
            guard let number = UInt64(seq) else { throw Malformed(description: "seq '\(seq)' is no whole number") }
            return .position(LogPosition(number))
        }
        guard let at else { return .now }
        return .time(try time(at, now: LogTime.now()))
    }

    /// A time: ISO 8601 (without zone: UTC), `now`, or `-90m`.
    static func time(_ text: String, now: LogTime) throws(Malformed) -> LogTime {
        if text == "now" { return now }
        if text.hasPrefix("-") {
            guard let seconds = DurationText.seconds(String(text.dropFirst())) else {
                throw Malformed(description: "'\(text)' is no duration: write -90m, -2h or -7d (at most 36525d)")
            }
            return now.advanced(bySeconds: -seconds)
        }
        guard let time = iso8601(text) else {
            throw Malformed(
                description: "'\(text)' is no time: write 2026-11-03T14:05:00Z (without zone: UTC), now, or -90m")
        }
        return time
    }

    /// A time from which on something is wanted: as `time`, and a bare `2h` means so long ago.
    static func since(_ text: String, now: LogTime) throws(Malformed) -> LogTime {
        if text.last?.isLetter == true, let seconds = DurationText.seconds(text), seconds >= 0 {
            return now.advanced(bySeconds: -seconds)
        }
        return try time(text, now: now)
    }

    private static func iso8601(_ text: String) -> LogTime? {
        var bytes = Array(text.utf8)
        var offsetMinutes: Int64 = 0
        if bytes.last == UInt8(ascii: "Z") || bytes.last == UInt8(ascii: "z") {
            bytes.removeLast()
        } else if bytes.count > 16, let sign = bytes[16...].lastIndex(where: { $0 == 43 || $0 == 45 }) {
            let zone = bytes[(sign + 1)...].filter { $0 != 58 }
            guard zone.count == 4 || zone.count == 2, let number = Int64(String(decoding: zone, as: UTF8.self)) else {
                return nil
            }
            let minutes = zone.count == 2 ? number * 60 : number / 100 * 60 + number % 100
            offsetMinutes = bytes[sign] == 45 ? -minutes : minutes
            bytes.removeSubrange(sign...)
        }
        if bytes.count > 10, bytes[10] == 32 || bytes[10] == 116 { bytes[10] = UInt8(ascii: "T") }
        let full = Array("0000-01-01T00:00:00.000000Z".utf8)
        guard [10, 13, 16, 19].contains(bytes.count) || (bytes.count > 20 && bytes.count <= 26) else { return nil }
        var padded = bytes + full[bytes.count...]
        if bytes.count == 13 { padded[13] = 58 }
        let parsed = padded.withUnsafeBufferPointer { buffer in buffer.baseAddress.flatMap { LogTime(written: $0) } }
        // 30 February would be read as 2 March.
        guard let parsed, parsed.description.utf8.elementsEqual(padded) else { return nil }
        return LogTime(microseconds: parsed.microseconds - offsetMinutes * 60_000_000)
    }

    /// A duration such as `50s`, `10m`, `2h`; a bare number means seconds. `flag`: whose value it is, for the error.
    static func duration(_ text: String, _ flag: String? = nil) throws(Malformed) -> Duration {
        guard let seconds = DurationText.seconds(text), seconds >= 0 else {
            throw Malformed(
                description: "\(place(flag))'\(text)' is no duration: write 500ms, 50s, 10m, 2h or 7d (at most 36525d)")
        }
        return .milliseconds(Int64(seconds * 1000))
    }

    private static func place(_ flag: String?) -> String { flag.map { $0 + ": " } ?? "" }

    /// A size such as `20000` or `64MiB`, in bytes. `flag`: whose value it is, for the error.
    static func sizeBytes(_ text: String, _ flag: String? = nil) throws(Malformed) -> Int64 {
        let units: [(String, Int64)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1), ("", 1)]
        for (unit, factor) in units where text.hasSuffix(unit) {
            if let number = Int64(text.dropLast(unit.count)), number > 0, number < 1 << 50 / factor {
                return number * factor
            }
        }
        throw Malformed(description: "\(place(flag))'\(text)' is no size: write 20000, 512KiB or 64MiB")
    }
}
