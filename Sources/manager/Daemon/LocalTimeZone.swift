import EventLog
import Glibc
import Projections

/// This machine's time zone: `TZ`, or what is set for the system.
enum LocalTimeZone {
    /// The moment that a local time names. Of a time that comes twice (clocks set back) the first; of one that never
    /// came (clocks set forward) what the offset before it gives: as Python's `datetime.timestamp()`.
    static func moment(_ time: WallTime) -> LogTime {
        let both: [Int32] = [1, 0]
        let found = both.compactMap { isDaylight -> Int64? in
            let seconds = self.seconds(time, isDaylight)
            return fields(seconds) == time.fields ? seconds : nil
        }
        let seconds = found.min() ?? max(self.seconds(time, 1), self.seconds(time, 0))
        return LogTime(microseconds: seconds * 1_000_000 + time.microsecond)
    }

    /// What the zone is called now, such as `CET`.
    static var name: String {
        var now = time_t(LogTime.now().microseconds / 1_000_000)
        var parts = tm()
        localtime_r(&now, &parts)
        return parts.tm_zone.map { String(cString: $0) } ?? "local"
    }

    private static func seconds(_ time: WallTime, _ isDaylight: Int32) -> Int64 {
        var parts = tm()
        parts.tm_year = Int32(time.date.year - 1900)
        parts.tm_mon = Int32(time.date.month - 1)
        parts.tm_mday = Int32(time.date.day)
        parts.tm_hour = Int32(time.secondOfDay / 3600)
        parts.tm_min = Int32(time.secondOfDay / 60 % 60)
        parts.tm_sec = Int32(time.secondOfDay % 60)
        parts.tm_isdst = isDaylight
        return Int64(mktime(&parts))
    }

    private static func fields(_ seconds: Int64) -> [Int64] {
        var moment = time_t(seconds)
        var parts = tm()
        localtime_r(&moment, &parts)
        return [
            Int64(parts.tm_year) + 1900, Int64(parts.tm_mon) + 1, Int64(parts.tm_mday),
            (Int64(parts.tm_hour) * 60 + Int64(parts.tm_min)) * 60 + Int64(parts.tm_sec),
        ]
    }
}

extension WallTime {
    /// Year, month, day, second of the day.
    fileprivate var fields: [Int64] { [date.year, date.month, date.day, secondOfDay] }
}
