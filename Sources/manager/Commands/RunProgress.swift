import Glibc
import Synchronization

/// Where progress is shown.
struct ProgressScreen: Sendable, Equatable {
    /// True for a terminal that can redraw a line.
    var isTerminal: Bool
    /// Its width in columns.
    var width: Int
    /// True where colours are wanted.
    var color: Bool

    /// Looks at standard output: a terminal (`TERM` other than `dumb`), its width now, colours unless `NO_COLOR` is
    /// set to anything (no-color.org).
    static func standardOutput(environment: [String: String]) -> ProgressScreen {
        let terminal = environment["TERM"] ?? "dumb"
        guard isatty(STDOUT_FILENO) == 1, terminal != "dumb", !terminal.isEmpty else {
            return ProgressScreen(isTerminal: false, width: 80, color: false)
        }
        var size = winsize()
        let known = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        let width = known ? Int(size.ws_col) : environment["COLUMNS"].flatMap { Int($0) } ?? 80
        return ProgressScreen(isTerminal: true, width: width, color: environment["NO_COLOR", default: ""].isEmpty)
    }
}

/// Shows how far a run is: on a terminal one line, redrawn at most ten times a second; otherwise a plain line each
/// five seconds or five per cent (at most one a second), and the last.
///
/// `update` may be called as often as there is news, from anywhere; most calls print nothing. Times come in, as
/// seconds since any moment, so that it can be tested without waiting.
final class RunProgress: Sendable {
    private struct State {
        var rate = RunRate()
        var counts = RunCounts()
        var drawnAt: Double?
        var drawnDone = 0
        var drawn = RunCounts()
        var isBarShown = false
        var isFinished = false
    }

    /// The shortest time between two drawings of the bar, in seconds.
    static let redrawSeconds = 0.1
    /// The usual time between two plain lines, in seconds.
    static let lineSeconds = 5.0
    /// The shortest time between two plain lines, in seconds.
    static let shortestLineSeconds = 1.0

    private let screen: @Sendable () -> ProgressScreen
    private let write: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// Shows nothing yet. `screen` is asked at each drawing, since windows change; `write` prints a text as it is.
    init(
        screen: @escaping @Sendable () -> ProgressScreen, write: @escaping @Sendable (String) -> Void
    ) {
        self.screen = screen
        self.write = write
    }

    /// Takes the news, and shows them if it is time.
    func update(_ counts: RunCounts, atSeconds now: Double) {
        state.withLock { state in
            guard !state.isFinished else { return }
            state.counts = counts
            state.rate.note(done: counts.done, atSeconds: now)
            let screen = screen()
            guard isDue(state, at: now, on: screen) else { return }
            draw(&state, at: now, on: screen)
        }
    }

    /// Prints a line of its own (a failure, say) above the bar.
    func note(_ line: String) {
        state.withLock { state in
            write(state.isBarShown ? "\r\u{1B}[K\(line)\n" : line + "\n")
            guard state.isBarShown else { return }
            state.isBarShown = false
            // The bar comes back with the next news, at once.
            state.drawnAt = nil
        }
    }

    /// Shows the last news and goes to a new line; nothing is shown afterwards.
    func finish(_ counts: RunCounts, atSeconds now: Double) {
        state.withLock { state in
            guard !state.isFinished else { return }
            state.counts = counts
            state.rate.note(done: counts.done, atSeconds: now)
            let screen = screen()
            let isSaid = !screen.isTerminal && state.drawnAt != nil && state.drawn == counts
            if !isSaid { draw(&state, at: now, on: screen) }
            if state.isBarShown { write("\n") }
            state.isFinished = true
        }
    }

    private func isDue(_ state: State, at now: Double, on screen: ProgressScreen) -> Bool {
        guard let drawnAt = state.drawnAt else { return true }
        let waited = now - drawnAt
        if screen.isTerminal { return waited >= Self.redrawSeconds }
        let step = max(1, state.counts.total / 20)
        let isStep = state.counts.done / step > state.drawnDone / step
        return waited >= Self.lineSeconds || (isStep && waited >= Self.shortestLineSeconds)
    }

    private func draw(_ state: inout State, at now: Double, on screen: ProgressScreen) {
        let rate = state.rate.perSecond(atSeconds: now)
        if screen.isTerminal {
            let bar = ProgressText.bar(state.counts, perSecond: rate, width: screen.width, color: screen.color)
            write("\r\(bar)\u{1B}[K")
        } else {
            write(ProgressText.line(state.counts, perSecond: rate) + "\n")
        }
        state.isBarShown = screen.isTerminal
        state.drawnAt = now
        state.drawnDone = state.counts.done
        state.drawn = state.counts
    }
}
