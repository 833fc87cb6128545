/// Who runs the program of an attempt, from its start to its end.
protocol AttemptRunner: Sendable {
    /// Runs the attempt. `control` stops it; so does the cancelling of the calling task (`drained`).
    func run(_ task: ClaimedTask, worker: String, control: ProgramControl) async -> ProgramRunner.End
}

extension ProgramRunner: AttemptRunner {}
