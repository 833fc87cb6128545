import Glibc

/// A moment in UTC, in microseconds since 1970-01-01, written as `2025-12-19T23:10:15.123456Z`.
public struct LogTime: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Microseconds since 1970.
    public let microseconds: Int64

    /// Makes a moment from microseconds since 1970.
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// The bytes of the written form.
    public static let writtenBytes = 27

    /// The wall clock now.
    public static func now() -> LogTime {
        var clock = timespec()
        clock_gettime(CLOCK_REALTIME, &clock)
        return LogTime(microseconds: Int64(clock.tv_sec) * 1_000_000 + Int64(clock.tv_nsec) / 1000)
    }

    /// Earlier is less.
    public static func < (left: LogTime, right: LogTime) -> Bool { left.microseconds < right.microseconds }

    /// The moment so many seconds later; where that is beyond all years that can be written, the first or the last of them.
    public func advanced(bySeconds seconds: Double) -> LogTime {
        let (first, last) = (Double(Self.first.microseconds), Double(Self.last.microseconds))
        let moment = (seconds * 1_000_000).rounded() + Double(microseconds)
        guard moment > first, moment < last else { return moment < last ? Self.first : Self.last }
        return LogTime(microseconds: microseconds + Int64((seconds * 1_000_000).rounded()))
    }

    /// 0000-01-01T00:00:00.000000Z.
    public static let first = LogTime(microseconds: CivilDate(year: 0, month: 1, day: 1).daysSince1970 * perDay)
    /// 9999-12-31T23:59:59.999999Z.
    public static let last = LogTime(microseconds: CivilDate(year: 10_000, month: 1, day: 1).daysSince1970 * perDay - 1)

    /// Seconds from an earlier moment to this one.
    public func seconds(since earlier: LogTime) -> Double {
        Double(microseconds - earlier.microseconds) / 1_000_000
    }

    /// The text for people.
    public var description: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.writtenBytes)
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes the 27 bytes of the written form at the end of `bytes`. Years 0000 to 9999.
    public func append(to bytes: inout [UInt8]) {
        let day = microseconds >= 0 ? microseconds / Self.perDay : (microseconds - Self.perDay + 1) / Self.perDay
        let inDay = microseconds - day * Self.perDay
        let date = CivilDate(daysSince1970: day)
        let seconds = inDay / 1_000_000
        let micros = inDay % 1_000_000
        // States have millions of these: the bytes are laid out at once.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.writtenBytes) { p in
            func two(_ value: Int64, _ at: Int) {
                let value = UInt32(truncatingIfNeeded: value)
                p[at] = 48 + UInt8(truncatingIfNeeded: value / 10 % 10)
                p[at + 1] = 48 + UInt8(truncatingIfNeeded: value % 10)
            }
            two(date.year / 100, 0)
            two(date.year % 100, 2)
            two(date.month, 5)
            two(date.day, 8)
            two(seconds / 3600, 11)
            two(seconds / 60 % 60, 14)
            two(seconds % 60, 17)
            two(micros / 10_000, 20)
            two(micros / 100 % 100, 22)
            two(micros % 100, 24)
            (p[4], p[7], p[10]) = (45, 45, 84)
            (p[13], p[16], p[19], p[26]) = (58, 58, 46, 90)
            bytes.append(contentsOf: UnsafeBufferPointer(p))
        }
    }

    /// The moment that 27 bytes in the written form name; nil where they are anything else.
    @inline(__always)
    public init?(written p: UnsafePointer<UInt8>) {
        var bad: UInt8 = 0
        @inline(__always) func two(_ at: Int) -> Int64 {
            let high = p[at] &- 48
            let low = p[at + 1] &- 48
            bad |= (high > 9 || low > 9) ? 1 : 0
            return Int64(high) &* 10 &+ Int64(low)
        }
        let year = two(0) &* 100 &+ two(2)
        let month = two(5)
        let day = two(8)
        let hour = two(11)
        let minute = two(14)
        let second = two(17)
        let micros = two(20) &* 10_000 &+ two(22) &* 100 &+ two(24)
        guard bad == 0, p[4] == 45, p[7] == 45, p[10] == 84, p[13] == 58, p[16] == 58, p[19] == 46, p[26] == 90,
            month >= 1, month <= 12, day >= 1, day <= 31, hour < 24, minute < 60, second < 61
        else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSince1970
        self.microseconds = days &* Self.perDay &+ ((hour &* 60 &+ minute) &* 60 &+ second) &* 1_000_000 &+ micros
        // A leap second at the end of the last year that can be written.
        if microseconds > 253_402_300_799_999_999 { return nil }
    }

    private static let perDay: Int64 = 86_400_000_000
}

/// A day of the Gregorian calendar and its number since 1970-01-01.
///
/// After Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March, eras have 400 years.
public struct CivilDate: Sendable, Equatable {
    /// The year, such as 2026.
    public let year: Int64
    /// 1 to 12.
    public let month: Int64
    /// 1 to 31.
    public let day: Int64

    /// Makes a date; the parts are not checked against each other.
    public init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// The date of a day's number.
    public init(daysSince1970 days: Int64) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shifted + 2) / 5 + 1
        month = shifted < 10 ? shifted + 3 : shifted - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days since 1970-01-01.
    public var daysSince1970: Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
