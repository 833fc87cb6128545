import EventLog
import Hummingbird
import Projections

/// What a worker says of an attempt.
struct ReportBody: Sendable {
    /// Who speaks, and of which attempt; both are there.
    private(set) var speaker = ManagerState.Speaker(worker: nil)
    /// The result, a JSON object without white space; nil: none.
    private(set) var result: [UInt8]?
    /// What went wrong, of a failure.
    private(set) var error: String?
    /// How far the program says it is, of a heartbeat.
    private(set) var progress: Double?
    /// What is told of the program's run.
    private(set) var provenance = Event.Provenance()

    /// Reads a body. Throws a `Problem` (400) or a `JSONError` for what is none.
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBufferPointer { try ReportBody($0) } }

    /// Reads a body that lies elsewhere.
    init(_ bytes: UnsafeBufferPointer<UInt8>) throws {
        var body = ReportBody()
        try BodyRules.object(bytes) { key, reader throws(JSONError) in try body.take(key, &reader) }
        guard body.speaker.worker != nil else { throw Problem(.badRequest, "worker is missing: who speaks") }
        guard body.speaker.attempt != nil else {
            throw Problem(.badRequest, "attempt is missing: the number that came with the task")
        }
        self = body
    }

    private init() {}

    /// Notes a heartbeat of the attempt that it speaks of. Throws where that does not run.
    func beat(
        _ task: String, _ processor: CommandProcessor
    ) throws(Rejection) -> (isToStop: Bool, position: LogPosition) {
        let beat = processor.heartbeat(worker: speaker.worker, [(task, speaker.attempt)])
        if let progress, let attempt = speaker.attempt {
            processor.noteProgress(AttemptReference(task: task, attempt: attempt), progress)
        }
        return (try beat.answer.first?.get() ?? false, beat.position)
    }

    private mutating func take(_ key: String, _ reader: inout JSONReader) throws(JSONError) {
        switch key {
        case "worker": speaker.worker = try reader.string()
        case "attempt":
            guard let attempt = UInt32(exactly: try reader.integer()) else {
                throw JSONError("attempt is out of range", offset: reader.at)
            }
            speaker.attempt = attempt
        case "result":
            if reader.takeNull() { return }
            guard try reader.kind() == .object else {
                throw JSONError("result must be an object", offset: reader.at)
            }
            var raw: [UInt8] = []
            try reader.compact(into: &raw)
            result = raw
        case "error": error = try reader.string()
        case "progress": progress = reader.takeNull() ? nil : try reader.double()
        case "host": provenance.host = reader.takeNull() ? nil : try reader.string()
        case "program": provenance.program = reader.takeNull() ? nil : try reader.string()
        case "exit_code": provenance.exitCode = reader.takeNull() ? nil : try reader.integer()
        case "signal": provenance.signal = reader.takeNull() ? nil : try reader.integer()
        case "duration_s": provenance.durationSeconds = reader.takeNull() ? nil : try reader.double()
        case "max_rss_bytes": provenance.maxRSSBytes = reader.takeNull() ? nil : try reader.integer()
        default: try reader.skip()
        }
    }
}
