import DequeModule
import EventLog
import Glibc
import NIOCore
import NIOPosix
import Projections

/// One connection of the workers' port: the old form (one object, one answer) or the fast form (lines, pipelined).
///
/// Requests are decided as they arrive; answers leave in order, each when what it was decided on is durable. While a client
/// does not take its answers, or has too many requests open, no more is read from it. Lives on its event loop.
final class WorkerConnection: ChannelDuplexHandler, LoopConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The bounds and times of the protocol.
    enum Limits {
        static let oldFormBytes = 2 << 20
        static let lineBytes = 8 << 20
        static let oldFormAnswerBytes = 8192
        static let firstObject = TimeAmount.seconds(30)
        /// How long a client may take for the last answer.
        static let lastAnswer = TimeAmount.seconds(30)
        static let drainBytes = 64 << 10
        static let drainTime = TimeAmount.seconds(1)
        /// Requests whose answers are not out; beyond it, and while the client takes none, nothing more is read.
        static let pipelined = 10_000
    }

    private enum Mode { case unknown, old, fast, draining, closed }

    /// The place of an answer in the order of requests.
    struct Slot {
        let id: UInt64
        var answer: [UInt8]?
        var position = LogPosition.zero
        /// Tasks that go back when the answer cannot be written.
        var claimed: [ManagerState.ClaimedTask] = []
        var worker = ""
        /// Close behind this answer.
        var closes = false
    }

    let loop: WorkerLoop
    let processor: CommandProcessor
    var isQueued = false
    private var context: ChannelHandlerContext?
    private var mode = Mode.unknown
    private var input: [UInt8] = []
    private var scanned = 0
    private var scanner = ObjectScanner()
    private(set) var slots: Deque<Slot> = []
    private var nextSlot: UInt64 = 0
    private var timer: Scheduled<Void>?
    private var drained = 0
    /// What this connection waits for, to take back when it closes, and how each wait is ended with an answer.
    var waiting: [UInt64: () -> Void] = [:]
    /// Tasks of the old form's answer, which go back if the connection is reset before it was read.
    private var handedOut: (tasks: [ManagerState.ClaimedTask], worker: String)?
    /// True for the fast form: answers are lines, and the connection stays open.
    private(set) var speaksLines = false
    let warn: @Sendable (String) -> Void
    /// Who speaks here.
    let door: WorkerDoor
    private let connections: ConnectionCount
    private var isCounted = false
    private var isBeyondBound = false
    private var isReadWanted = false
    /// True when the last answer has left and our side is shut.
    private var isFinishing = false

    init(
        _ loop: WorkerLoop, door: WorkerDoor, _ connections: ConnectionCount,
        warn: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.door = door
        self.connections = connections
        self.processor = loop.processor
        self.warn = warn
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isCounted = true
        let entry = connections.enter()
        if entry != .served { isBeyondBound = true }
        if entry == .closed { return context.close(promise: nil) }
        let box = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Limits.firstObject) {
            box.value.refuse("no whole request came within 30 s")
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        switch mode {
        case .closed: return
        case .draining:
            // Until the last answer is out, what comes is only passed over.
            if isFinishing { drained += buffer.readableBytes }
            if drained > Limits.drainBytes { close() }
            return
        default: break
        }
        buffer.withUnsafeReadableBytes { input.append(contentsOf: $0) }
        buffer.moveReaderIndex(forwardBy: buffer.readableBytes)
        if mode == .unknown, isBeyondBound {
            return refuse("\(connections.most) connections are open already; try again in a second")
        }
        if mode == .unknown, let first = input.first {
            mode = first == 10 ? .fast : .old
            speaksLines = mode == .fast
            if mode == .old, !door.takesOldForm {
                return refuse(
                    "this manager wants a token: use 'manager worker', or start it with --allow-tokenless-workers")
            }
            if speaksLines {
                input.removeFirst()
                timer?.cancel()
            }
        }
        if mode == .fast { readLines() } else { readObject() }
    }

    /// What a client does not take of its answers would be kept here without a bound.
    private func isFull(_ context: ChannelHandlerContext) -> Bool {
        mode == .fast && (slots.count >= Limits.pipelined || !context.channel.isWritable)
    }

    func read(context: ChannelHandlerContext) {
        guard isFull(context) else { return context.read() }
        isReadWanted = true
        // Nobody would see the client go: a claim that waits must not get a task for nobody.
        for end in waiting.values { end() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        readOn(context)
        context.fireChannelWritabilityChanged()
    }

    private func readOn(_ context: ChannelHandlerContext) {
        guard isReadWanted, !isFull(context) else { return }
        isReadWanted = false
        context.read()
    }

    // MARK: - Old form

    private func readObject() {
        let progress = input.withUnsafeBufferPointer { scanner.scan($0) }
        switch progress {
        case .unfinished:
            if input.count > Limits.oldFormBytes { refuse("the request has more than 2 MiB") }
        case .noObject: refuse("the request is no JSON object")
        case .whole(let end):
            timer?.cancel()
            mode = .draining
            guard end <= Limits.oldFormBytes else { return refuse("the request has more than 2 MiB") }
            decide(UnsafeRange(0, end))
        }
    }

    private struct UnsafeRange {
        let start: Int
        let end: Int
        init(_ start: Int, _ end: Int) {
            self.start = start
            self.end = end
        }
    }

    /// Answers with an error and closes. Answers that are under way go first.
    private func refuse(_ text: String) {
        guard mode != .closed else { return }
        timer?.cancel()
        let id = reserve()
        answer(id, WorkerAnswer.error(text), at: .zero, closes: true)
        mode = .draining
    }

    // MARK: - Fast form

    private func readLines() {
        var start = 0
        while mode == .fast, let newline = newline(from: max(start, scanned)) {
            guard newline - start <= Limits.lineBytes else { return refuse("a line has more than 8 MiB") }
            if newline > start { decide(UnsafeRange(start, newline)) }
            start = newline + 1
            scanned = start
        }
        if start == input.count { input.removeAll(keepingCapacity: true) } else { input.removeFirst(start) }
        scanned = input.count
        if mode == .fast, input.count > Limits.lineBytes {
            input = []
            refuse("a line has more than 8 MiB")
        }
    }

    private func newline(from start: Int) -> Int? {
        input.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress, let found = memchr(base + start, 10, bytes.count - start) else {
                return nil
            }
            return UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
        }
    }

    private func decide(_ range: UnsafeRange) {
        let id = reserve()
        let request: WorkerRequest
        do throws(JSONError) {
            var parsed: WorkerRequest?
            var failure: JSONError?
            input.withUnsafeBufferPointer { bytes in
                do throws(JSONError) {
                    parsed = try WorkerRequest(UnsafeBufferPointer(rebasing: bytes[range.start..<range.end]))
                } catch { failure = error }
            }
            if let failure { throw failure }
            guard let parsed else { return }
            request = parsed
        } catch {
            let isBroken = isBrokenJSON(range)
            answer(id, WorkerAnswer.error("\(error)"), at: .zero, closes: !speaksLines || isBroken)
            if speaksLines && isBroken { mode = .draining }
            return
        }
        if let reason = processor.readOnly {
            // Every answer ends its connection: the next one may find a manager that can write.
            let status = processor.read { WorkerAnswer.status($0) }
            let mayAsk = request.type == "status" && (!speaksLines || door.objection(to: "status") == nil)
            let bytes = mayAsk ? status.answer : WorkerAnswer.error(reason)
            answer(id, bytes, at: .zero, closes: true)
            if speaksLines { mode = .draining }
            return
        }
        if speaksLines { decideFast(request, id) } else { decideOld(request, id) }
    }

    /// Whether the bytes are no JSON at all, rather than a request of a wrong form.
    private func isBrokenJSON(_ range: UnsafeRange) -> Bool {
        input.withUnsafeBufferPointer { bytes in
            var reader = JSONReader(UnsafeBufferPointer(rebasing: bytes[range.start..<range.end]), formOnly: true)
            do throws(JSONError) {
                try reader.skip()
                try reader.finish()
                return false
            } catch { return true }
        }
    }

    // MARK: - Answers

    private func reserve() -> UInt64 {
        nextSlot += 1
        slots.append(Slot(id: nextSlot))
        return nextSlot
    }

    /// Fills an answer's place; it leaves when those before it have left and the position is durable.
    func answer(
        _ id: UInt64, _ bytes: [UInt8], at position: LogPosition, claimed: [ManagerState.ClaimedTask] = [],
        worker: String = "", closes: Bool = false
    ) {
        // Their ids follow one another.
        guard mode != .closed, let first = slots.first?.id, id >= first, case let index = Int(id - first),
            index < slots.count
        else {
            if !claimed.isEmpty { processor.giveBack(claimed, worker: worker, actor: door.actor) }
            return
        }
        slots[index].answer = bytes
        slots[index].position = position
        slots[index].claimed = claimed
        slots[index].worker = worker
        // It may be marked already: the client has shut its side meanwhile.
        if closes || !speaksLines { slots[index].closes = true }
        loop.enqueue(self)
    }

    /// Writes what may leave; returns the position that the next answer waits for, nil where none waits for one.
    func writeAnswers(durable: LogPosition) -> LogPosition? {
        guard let context, mode != .closed else { return nil }
        var wrote = false
        defer {
            if wrote {
                context.flush()
                readOn(context)
            }
        }
        while let slot = slots.first, let bytes = slot.answer {
            guard slot.position <= durable else { return slot.position }
            slots.removeFirst()
            var buffer = context.channel.allocator.buffer(capacity: bytes.count + 1)
            buffer.writeBytes(bytes)
            if speaksLines { buffer.writeInteger(UInt8(10)) }
            wrote = true
            let written = slot.claimed.isEmpty && !slot.closes ? nil : context.eventLoop.makePromise(of: Void.self)
            if !slot.claimed.isEmpty {
                let (processor, claimed, worker, actor) = (processor, slot.claimed, slot.worker, door.actor)
                written?.futureResult.whenFailure { _ in processor.giveBack(claimed, worker: worker, actor: actor) }
                if slot.closes { handedOut = (claimed, worker) }
            }
            context.write(wrapOutboundOut(buffer), promise: written)
            if slot.closes {
                finish(context, behind: written)
                return nil
            }
        }
        return nil
    }

    /// When the last answer is out: shuts our side down, reads and discards what still comes, closes. A client that takes
    /// nothing of it for long is closed on.
    private func finish(_ context: ChannelHandlerContext, behind written: EventLoopPromise<Void>?) {
        mode = .draining
        slots.removeAll()
        let box = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Limits.lastAnswer) { box.value.close() }
        written?.futureResult.whenSuccess { box.value.shutDown() }
        context.flush()
    }

    private func shutDown() {
        guard mode != .closed, let context else { return }
        isFinishing = true
        timer?.cancel()
        // Where the client has shut its side, this closes all.
        context.close(mode: .output, promise: nil)
        let box = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Limits.drainTime) { box.value.close() }
    }

    private func close() {
        guard mode != .closed else { return }
        context?.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            // Who shut only its side still gets what it asked for; a claim that waits assigns nothing.
            for end in waiting.values { end() }
            if mode == .old {
                refuse("the request ended before it was whole")
            } else if slots.isEmpty {
                // What is on its way to the client goes out first.
                if mode != .draining || isFinishing { close() }
            } else {
                slots[slots.count - 1].closes = true
            }
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let handedOut {
            processor.giveBack(handedOut.tasks, worker: handedOut.worker, actor: door.actor)
            self.handedOut = nil
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        mode = .closed
        if isCounted { connections.leave() }
        isCounted = false
        timer?.cancel()
        stopWaiting()
        for slot in slots where !slot.claimed.isEmpty {
            processor.giveBack(slot.claimed, worker: slot.worker, actor: door.actor)
        }
        slots.removeAll()
        handedOut = nil
        self.context = nil
        context.fireChannelInactive()
    }

    private func stopWaiting() {
        for id in waiting.keys { _ = processor.stopWaiting(id) }
        waiting.removeAll()
    }
}
