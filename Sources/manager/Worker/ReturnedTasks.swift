import Synchronization

/// How often in a row the slots of a worker have given the same task back, so that one which nobody here can run now is not
/// begun many times a second by one slot after the other.
final class ReturnedTasks: Sendable {
    /// More tasks than this are begun to be counted anew.
    private static let mostTasks = 10_000

    private let times = Mutex<[String: Int]>([:])

    /// Nothing was given back yet.
    init() {}

    /// Notes an attempt's end; how many of its task's ends in a row, with this one, gave it back.
    func note(_ task: String, isReturned: Bool) -> Int {
        times.withLock { times in
            guard isReturned else {
                times[task] = nil
                return 0
            }
            if times.count >= Self.mostTasks, times[task] == nil { times = [:] }
            times[task, default: 0] += 1
            return times[task, default: 1]
        }
    }
}
