/// Why a command is refused: nothing was written.
public struct Rejection: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of refusal.
    public enum Code: Sendable, Equatable {
        /// The request itself is wrong.
        case invalid
        /// No such task.
        case unknownTask
        /// The task is not in a state that allows it.
        case conflict
        /// No room on the disk for new work.
        case diskFull
        /// Too much waits to be written.
        case busy
        /// More than the bounds allow.
        case tooLarge
    }

    /// What kind of refusal.
    public let code: Code
    /// A sentence: what, where, what to do.
    public let detail: String
    /// True for a heartbeat of an attempt that was lost, while nobody else has claimed its task: its program may go on,
    /// for its completion would still be taken.
    public internal(set) var isUnclaimedLoss = false

    /// Makes a refusal.
    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// The HTTP status for it.
    public var status: Int {
        switch code {
        case .invalid: 400
        case .unknownTask: 404
        case .conflict: 409
        case .diskFull: 507
        case .busy: 503
        case .tooLarge: 413
        }
    }

    /// The text for people.
    public var description: String { detail }
}
