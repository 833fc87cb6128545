import EventLog
import Projections

/// `status --watch`: the table drawn anew where it stands, on a terminal; else a line (JSON or plain) for each change.
struct StatusWatch {
    private var fold: JournalFold
    private let json: Bool
    private let data: DataDirectory
    private let live = LivePoll()

    init(_ data: DataDirectory, json: Bool) throws(JournalError) {
        fold = try JournalFold(data)
        self.json = json
        self.data = data
    }

    /// Goes on until interrupted.
    func run() throws(JournalError) {
        var fold = fold
        var drawnLines = 0
        var shown: LogPosition?
        while true {
            if json || Terminal.width == nil {
                if shown != fold.state.position { showLine(fold.state) }
            } else {
                live.refresh(data)
                drawnLines = redraw(fold.state, over: drawnLines)
            }
            shown = fold.state.position
            try fold.advance(within: 1)
        }
    }

    private func showLine(_ state: ManagerState) {
        if json { return Terminal.write(StatusJSON.bytes(StatusSummary(state), now: LogTime.now()) + [10]) }
        let counts = TaskStatus.allCases.filter { state.counts[$0] > 0 }.map { "\(state.counts[$0]) \($0.word)" }
        Terminal.write("seq \(state.position): \(state.progress), \(counts.joined(separator: ", "))\n")
    }

    /// Writes over the lines of the last table; returns how many it has now.
    private func redraw(_ state: ManagerState, over lines: Int) -> Int {
        let width = Terminal.width ?? 80
        let running = RunningLines.text(state, live.newest, width: width)
        let summary = StatusSummary(state)
        let table = StatusTable.text(summary, width: width, hasColours: Terminal.hasColours) + running
        // Up, then clear to the end of the screen.
        let home = lines > 0 ? "\u{1B}[\(lines)A\u{1B}[J" : ""
        Terminal.write(home + table)
        // A line that is wider than the terminal takes several of its lines; colours take no room.
        let plain = StatusTable.text(summary, width: width) + running
        return plain.split(separator: "\n", omittingEmptySubsequences: false).dropLast().reduce(0) {
            $0 + max(1, ($1.count + width - 1) / width)
        }
    }
}
