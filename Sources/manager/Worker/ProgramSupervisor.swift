import EventLog
import Glibc
import SystemPackage

/// Watches one running program from a thread of its own: copies its output, enforces its time limit, stops it when
/// asked, and is done only when nothing of its process group runs any more.
///
/// Both streams come through pipes: so the log can be rotated and faulted like any file of ours, a disk full of
/// output harms nobody, and the end of standard error is known apart from standard output. Each stream's order is
/// kept. Between the two: what was written to standard output before a piece of standard error stands before it. What
/// came behind that piece may stand before it too, if both were written before we looked: pipes keep no times. A pipe
/// may outlive its program in a process that left the group: what stands in it when the group is gone is read, but its
/// end is not waited for.
///
/// The program's process is not reaped here: as long as it is a zombie its pid, and so the group's number, cannot
/// come to mean anybody else. swift-subprocess reaps it afterwards.
struct ProgramSupervisor {
    /// What was seen.
    struct Observation: Sendable {
        /// From start to the program's own end.
        var duration: Duration
        /// The greatest resident set in bytes; nil where unknown, or not told apart from this process' own.
        var maxRSSBytes: Int64?
        /// Why it was stopped; nil where it ended by itself.
        var stopReason: StopReason?
        /// The end of standard error.
        var errorTail: OutputTail
        /// Bytes missing in the log, and why; nil where none are.
        var logFailure: (droppedBytes: Int, error: FileError)?
    }

    /// The program's process, which leads a group of its own.
    let pid: pid_t
    /// Its pidfd; negative where the kernel has none.
    let pidDescriptor: Int32
    /// Our end of its standard output; closed here.
    let output: FileDescriptor
    /// Our end of its standard error; closed here.
    let errorOutput: FileDescriptor
    /// By which a stop interrupts our waiting; closed here.
    let wake: OutputPipe
    /// By which it is stopped.
    let control: ProgramControl
    /// To find out who is left of its group.
    let processes: ProcessTable
    /// When it gets which signal.
    var plan: EndingPlan
    /// Where its output goes; closed here.
    var log: ProgramLog

    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private var tail = OutputTail(capacityBytes: ProgramOutcome.maximumErrorBytes)
    private var openStreams: [FileDescriptor] = []
    private var endedAfter: Duration?
    private var maxRSSBytes: Int64?
    /// This process' greatest resident set: the program began as its copy.
    private let ownPeak = OwnMemory.peakBytes()

    /// While only leftovers of a group run there is nothing to wait on: they are looked for this often.
    private static let leftoverInterval = Duration.milliseconds(20)
    /// Without a pidfd the program itself is looked for this often.
    private static let pollInterval = Duration.milliseconds(50)
    /// What may stand in a pipe at the end; more comes from somebody who left the group and goes on writing.
    private static let drainBytes = 8 << 20

    /// Begins the watch of a program that was started at `start`: its time runs from there.
    init(
        pid: pid_t, pidDescriptor: Int32, start: ContinuousClock.Instant, launch: ProgramLaunch,
        control: ProgramControl, processes: ProcessTable, plan: EndingPlan
    ) {
        self.start = start
        self.pid = pid
        self.pidDescriptor = pidDescriptor
        output = launch.output.readEnd
        errorOutput = launch.errorOutput.readEnd
        wake = launch.wake
        log = launch.log
        self.control = control
        self.processes = processes
        self.plan = plan
        openStreams = [output, errorOutput]
    }

    /// Blocks until all is over. For a thread of its own.
    mutating func supervise() -> Observation {
        OutputPipe.makeNonBlocking(wake.writeEnd)
        control.attach(wake.writeEnd)
        while true {
            takeSteps()
            if plan.isOver { break }
            waitForSomething()
        }
        drain()
        control.detach()
        wake.closeBoth()
        OutputPipe.close(output)
        OutputPipe.close(errorOutput)
        log.close()
        return Observation(
            duration: endedAfter ?? elapsed, maxRSSBytes: maxRSSBytes, stopReason: plan.stopReason, errorTail: tail,
            logFailure: log.failure.map { (log.droppedBytes, $0) })
    }

    private var elapsed: Duration { start.duration(to: clock.now) }

    private mutating func takeSteps() {
        if endedAfter == nil, case .ended(let bytes) = ChildUsage.look(at: pid) {
            endedAfter = elapsed
            maxRSSBytes = OwnMemory.ofProgram(maxRSSBytes: bytes, ownPeak: ownPeak)
        }
        let (now, hasEnded, group, table) = (elapsed, endedAfter != nil, pid, processes)
        let signal = plan.step(
            now: now, programEnded: hasEnded,
            groupIsEmpty: {
                // Where /proc cannot be read the leftovers get their signals and their time.
                do throws(FileError) { return try table.members(ofGroup: group).isEmpty } catch { return false }
            },
            stop: control.stopReason)
        switch signal {
        case .terminate: kill(-pid, SIGTERM)
        case .kill: kill(-pid, SIGKILL)
        case nil: break
        }
    }

    private mutating func waitForSomething() {
        var watched = openStreams.map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
        watched.append(pollfd(fd: wake.readEnd.rawValue, events: Int16(POLLIN), revents: 0))
        if endedAfter == nil && pidDescriptor >= 0 {
            watched.append(pollfd(fd: pidDescriptor, events: Int16(POLLIN), revents: 0))
        }
        // An interrupted or failed poll only means that we look again.
        guard poll(&watched, nfds_t(watched.count), timeoutMilliseconds) > 0 else { return }
        let ready = Set(watched.filter { $0.revents != 0 }.map { FileDescriptor(rawValue: $0.fd) })
        if ready.contains(wake.readEnd) { _ = OutputPipe.read(wake.readEnd, atMostBytes: 64) }
        if openStreams.contains(where: ready.contains) { _ = copyOutput() }
    }

    private var timeoutMilliseconds: Int32 {
        var waits: [Duration] = []
        if let deadline = plan.nextDeadline { waits.append(deadline - elapsed) }
        if endedAfter != nil { waits.append(Self.leftoverInterval) }
        if pidDescriptor < 0 { waits.append(Self.pollInterval) }
        guard let shortest = waits.min() else { return -1 }
        let milliseconds = shortest.components.seconds * 1000 + shortest.components.attoseconds / 1_000_000_000_000_000
        return Int32(clamping: max(0, milliseconds + 1))
    }

    /// Copies what stands in both streams, at most a pipe's worth of each; how many bytes that were.
    ///
    /// Standard error is read first and written last: so whatever of standard output was written before it has been read
    /// when it is written. A pipe is never fuller than one read takes, unless its program made it larger.
    private mutating func copyOutput() -> Int {
        let complaint = take(from: errorOutput)
        let words = take(from: output)
        if !words.isEmpty { log.append(words) }
        if !complaint.isEmpty {
            log.append(complaint)
            tail.append(complaint)
        }
        return words.count + complaint.count
    }

    /// What stands in a stream, at most one read; nothing where it has ended or holds nothing.
    private mutating func take(from stream: FileDescriptor) -> [UInt8] {
        guard openStreams.contains(stream) else { return [] }
        switch OutputPipe.read(stream) {
        case .bytes(let bytes): return bytes
        case .nothingYet: return []
        case .end:
            openStreams.removeAll { $0 == stream }
            return []
        }
    }

    private mutating func drain() {
        var room = Self.drainBytes
        while room > 0 {
            let count = copyOutput()
            if count == 0 { break }
            room -= count
        }
    }
}
