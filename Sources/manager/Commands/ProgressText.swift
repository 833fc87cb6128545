/// How far a run is.
struct RunCounts: Sendable, Equatable {
    /// All tasks.
    var total = 0
    /// Complete ones.
    var complete = 0
    /// Failed for good.
    var failed = 0
    /// Cancelled or held: nothing more happens to them.
    var setAside = 0
    /// Those that run.
    var running = 0

    /// Those that nothing more happens to.
    var done: Int { complete + failed + setAside }
}

/// Tasks a second, from the ends of the last minute. Pure: times come in as seconds since any moment.
struct RunRate: Sendable {
    /// Older samples count no more.
    static let windowSeconds = 60.0
    private static let maximumSamples = 240

    private var samples: [(seconds: Double, done: Int)] = []

    /// Knows nothing yet.
    init() {}

    /// Notes how many were done at a time; times do not decrease.
    mutating func note(done: Int, atSeconds seconds: Double) {
        // A sample each quarter of a second is enough, so the window is bounded.
        if let last = samples.last, samples.count > 1, seconds - last.seconds < Self.windowSeconds / 240 {
            samples[samples.count - 1].done = done
            return
        }
        samples.append((seconds, done))
        while samples.count > 2,
            samples[1].seconds < seconds - Self.windowSeconds || samples.count > Self.maximumSamples
        {
            samples.removeFirst()
        }
    }

    /// Tasks a second; nil before anything was done.
    func perSecond(atSeconds now: Double) -> Double? {
        guard let first = samples.first, let last = samples.last, last.done > first.done, now > first.seconds else {
            return nil
        }
        return Double(last.done - first.done) / (now - first.seconds)
    }
}

/// The texts of a run's progress. Pure.
enum ProgressText {
    /// The line for a terminal of `width` columns, at most `width - 1` long so that it never wraps:
    /// `[########........]  47/240  19.6 %  2 running  1 failed  3.2/s  ETA 1m 00s`.
    ///
    /// What does not fit is left out from the end; the bar takes what remains, up to 40 columns. `color`: ANSI colours.
    static func bar(_ counts: RunCounts, perSecond: Double?, width: Int, color: Bool) -> String {
        let room = max(width - 1, 1)
        var words: [String] = []
        var used = 0
        for word in facts(counts, perSecond: perSecond) where used + word.count + 2 <= room {
            words.append(word)
            used += word.count + 2
        }
        let cells = min(40, room - used)
        guard cells >= 10 else { return words.joined(separator: "  ") }
        let inner = cells - 2
        let share = counts.total > 0 ? Double(counts.done) / Double(counts.total) : 0
        let filled = min(inner, Int(share * Double(inner)))
        let failed = counts.failed == 0 ? 0 : min(filled, max(1, inner * counts.failed / max(counts.total, 1)))
        let good = String(repeating: "#", count: filled - failed)
        let bad = String(repeating: "!", count: failed)
        let rest = String(repeating: ".", count: inner - filled)
        let body = color ? "\u{1B}[32m\(good)\u{1B}[31m\(bad)\u{1B}[0m\(rest)" : good + bad + rest
        return "[\(body)]" + words.map { "  " + $0 }.joined()
    }

    /// The plain line: `47/240 (19.6%), 2 running, 1 failed, 3.2/s, ETA 1m 00s`. Of all tasks those that are complete, as
    /// `status` counts them; the time that remains is for all to which something can still happen.
    static func line(_ counts: RunCounts, perSecond: Double?) -> String {
        var words = ["\(counts.complete)/\(counts.total) (\(percent(counts))%)"]
        words += facts(counts, perSecond: perSecond).dropFirst(2)
        return words.joined(separator: ", ")
    }

    private static func facts(_ counts: RunCounts, perSecond: Double?) -> [String] {
        var words = ["\(counts.complete)/\(counts.total)", "\(percent(counts)) %", "\(counts.running) running"]
        if counts.failed > 0 { words.append("\(counts.failed) failed") }
        if counts.setAside > 0 { words.append("\(counts.setAside) set aside") }
        guard let perSecond, perSecond > 0, counts.done < counts.total else { return words }
        words.append(rate(perSecond))
        words.append("ETA \(duration(Double(counts.total - counts.done) / perSecond))")
        return words
    }

    private static func percent(_ counts: RunCounts) -> String {
        counts.total == 0 ? "0.0" : fixed(100 * Double(counts.complete) / Double(counts.total), decimals: 1)
    }

    /// A rate in the unit that gives at least one a unit: `3.2/s`, `12/min`, `4.5/h`.
    static func rate(_ perSecond: Double) -> String {
        for (unit, seconds) in [("s", 1.0), ("min", 60.0)] where perSecond * seconds >= 1 {
            let value = perSecond * seconds
            return "\(fixed(value, decimals: value < 10 ? 1 : 0))/\(unit)"
        }
        return "\(fixed(perSecond * 3600, decimals: 1))/h"
    }

    /// A duration for people: `0.4s`, `12s`, `3m 05s`, `2h 07m`, `3d 04h`.
    static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e12 else { return "unknown" }
        if seconds < 9.95 { return "\(fixed(max(seconds, 0), decimals: 1))s" }
        let whole = Int(seconds.rounded())
        func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }
        switch whole {
        case ..<60: return "\(whole)s"
        case ..<3600: return "\(whole / 60)m \(padded(whole % 60))s"
        case ..<86400: return "\(whole / 3600)h \(padded(whole / 60 % 60))m"
        default: return "\(whole / 86400)d \(padded(whole / 3600 % 24))h"
        }
    }

    /// A number with so many decimals, rounded half up; very large ones as Swift writes them.
    static func fixed(_ value: Double, decimals: Int) -> String {
        let scale = [1.0, 10, 100, 1000, 10000, 100_000, 1_000_000][min(max(decimals, 0), 6)]
        let scaled = (value.magnitude * scale).rounded()
        guard scaled < 1e15 else { return String(value) }
        let digits = Int(scaled)
        let sign = value < 0 && digits > 0 ? "-" : ""
        guard scale > 1 else { return sign + String(digits) }
        let fraction = String(digits % Int(scale))
        return "\(sign)\(digits / Int(scale)).\(String(repeating: "0", count: decimals - fraction.count))\(fraction)"
    }
}
