/// How long to wait before the next try: doubling from `first` to `longest`, shortened at random by up to a half so
/// that many workers do not come back at the same moment.
struct Backoff: Sendable, Equatable {
    /// The wait after the first failure, before it is shortened.
    var first: Duration = .milliseconds(200)
    /// The longest wait.
    var longest: Duration = .seconds(30)

    /// The wait after so many failures in a row (1, 2, 3 …); `jitter` is from 0 (not shortened) to 1 (halved).
    func delay(afterFailures failures: Int, jitter: Double) -> Duration {
        let doublings = min(max(failures - 1, 0), 30)
        let full = min(first * (1 << doublings), longest)
        return full * (1 - 0.5 * min(max(jitter, 0), 1))
    }
}
