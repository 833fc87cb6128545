import EventLog
import Projections

extension Moment {
    /// What time it is at the moment: for ages, rates, and how long a state has lasted. `last`: the time of the last event
    /// that belongs to it.
    func clock(_ last: LogTime?) -> LogTime {
        switch self {
        case .now: LogTime.now()
        case .time(let time): min(time, LogTime.now())
        case .position: last ?? LogTime.now()
        }
    }

    /// Whether an event belongs to what was before or at the moment.
    func reaches(_ line: LogLine) -> Bool {
        switch self {
        case .now: true
        case .time(let time): line.time <= time
        case .position(let position): line.position <= position
        }
    }
}
