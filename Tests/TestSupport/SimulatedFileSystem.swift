import EventLog
import Glibc
import Synchronization

/// A process's door to a `SimulatedDisk`: it counts the calls that change something, and dies or fails at one of them.
///
/// A process that has died gets EIO from every further call, and nothing that it does has an effect: so the code under
/// test unwinds, and the disk stays as it was at that moment.
public final class SimulatedFileSystem: FileSystem {
    /// What goes wrong. Calls are counted from 1, those that change something only.
    public struct Faults: Sendable {
        /// The call in which the process dies; the seed decides whether that call still has its effect, or how much.
        public var deathAt: Int?
        /// Calls that fail, with the system's number; a failing write leaves a part of its bytes, a failing sync any.
        public var failures: [Int: Int32] = [:]
        /// For all that is left to chance.
        public var seed: UInt64 = 0

        /// No fault, or death in a call.
        public init(deathAt: Int? = nil, seed: UInt64 = 0) {
            self.deathAt = deathAt
            self.seed = seed
        }
    }

    private struct Progress {
        var calls = 0
        var log: [String] = []
        var isDead = false
        var random: SeededGenerator
    }

    /// The disk behind.
    public let disk: SimulatedDisk
    let process: Int
    private let faults: Faults
    private let progress: Mutex<Progress>
    // A class, not the closure: a generic lock would wrap that anew each time it is asked for.
    private final class Interlude: Sendable {
        let body: @Sendable (Int) -> Void
        init(_ body: @escaping @Sendable (Int) -> Void) { self.body = body }
    }

    private let interlude = Mutex<Interlude?>(nil)

    init(_ disk: SimulatedDisk, process: Int, _ faults: Faults) {
        self.disk = disk
        self.process = process
        self.faults = faults
        progress = Mutex(Progress(random: SeededGenerator(faults.seed)))
    }

    /// Calls `body` before each changing call with its number, outside of all locks: what else happens on the machine
    /// then. Nil: nothing does any more.
    public func between(_ body: (@Sendable (Int) -> Void)?) {
        let new = body.map { Interlude($0) }
        interlude.withLock { $0 = new }
    }

    /// How many changing calls there were.
    public var changingCalls: Int { progress.withLock { $0.calls } }

    /// The changing calls in order, such as `sync /data/a`.
    public var log: [String] { progress.withLock { $0.log } }

    /// True when the process has died.
    public var isDead: Bool { progress.withLock { $0.isDead } }

    /// Ends the process: its locks are free, its cache stays.
    public func kill() {
        progress.withLock { $0.isDead = true }
        disk.state.withLock { _ = $0.deadProcesses.insert(process) }
    }

    /// What a call that changes something comes to.
    enum Outcome { case done, doneAndDead, dead, failed(Int32) }

    /// Counts a call. Throws where the process is dead already.
    fileprivate func begin(_ call: FileCall) throws(FileError) -> Outcome {
        if let interlude = interlude.withLock({ $0 }) { interlude.body(progress.withLock { $0.calls + 1 }) }
        let outcome = progress.withLock { progress -> Outcome? in
            if progress.isDead { return nil }
            progress.calls += 1
            progress.log.append("\(call.text.operation) \(call.text.path)")
            if let errno = faults.failures[progress.calls] { return .failed(errno) }
            guard progress.calls == faults.deathAt else { return .done }
            progress.isDead = true
            return progress.random.oneIn(2) ? .doneAndDead : .dead
        }
        guard let outcome else { throw call.failure(EIO) }
        if Simulation.tellsCalls {
            print("process \(process) call \(changingCalls): \(call.text.operation) \(call.text.path): \(outcome)")
        }
        if case .done = outcome { return outcome }
        if isDead { disk.state.withLock { _ = $0.deadProcesses.insert(process) } }
        return outcome
    }

    /// Does a change that is whole or not at all.
    fileprivate func change(
        _ call: FileCall, _ body: (inout SimulatedDisk.State) throws(FileError) -> Void
    ) throws(FileError) {
        let outcome = try begin(call)
        switch outcome {
        case .done, .doneAndDead:
            var failure: FileError?
            disk.state.withLock { state in
                do throws(FileError) { try body(&state) } catch { failure = error }
            }
            if let failure { throw failure }
            if case .doneAndDead = outcome { throw call.failure(EIO) }
        case .dead: throw call.failure(EIO)
        case .failed(let errno): throw call.failure(errno)
        }
    }

    /// Looks at the disk without changing it. Throws where the process is dead.
    fileprivate func look<Found: Sendable>(
        _ path: String, _ body: (inout SimulatedDisk.State) -> Found
    ) throws(FileError) -> Found {
        if isDead { throw FileCall.look(path).failure(EIO) }
        return disk.state.withLock { body(&$0) }
    }

    fileprivate func chance<Drawn: Sendable>(_ body: (inout SeededGenerator) -> Drawn) -> Drawn {
        progress.withLock { body(&$0.random) }
    }

    // MARK: - FileSystem

    /// See `FileSystem.open`.
    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let standing = try look(path) { state in state.node(at: path).map { ($0, state.nodes[$0].isDirectory) } }
        if standing?.1 == true { throw FileError(operation: "open", path: path, errno: EISDIR) }
        switch mode {
        case .read: if standing == nil { throw FileError(operation: "open", path: path, errno: ENOENT) }
        case .createNew where standing != nil: throw FileError(operation: "open", path: path, errno: EEXIST)
        case .update where standing != nil: break
        case .update, .createNew, .replace, .replacePrivate:
            try change(.open(path, makes: true)) { state throws(FileError) in
                if let node = state.node(at: path) {
                    state.nodes[node].change(.truncate(0))
                    state.nodes[node].reservedEnd = 0
                } else {
                    _ = state.make(SimulatedDisk.Node(), try state.place(path, "open"))
                }
            }
        }
        let opened = try look(path) { state -> (node: Int, file: Int)? in
            state.openFiles += 1
            return state.node(at: path).map { ($0, state.openFiles) }
        }
        guard let opened else { throw FileError(operation: "open", path: path, errno: ENOENT) }
        return SimulatedFile(path, node: opened.node, number: opened.file, self)
    }

    /// See `FileSystem.list`.
    public func list(_ directory: String) throws(FileError) -> [String] {
        let names = try look(directory) { state -> [String]? in
            state.node(at: directory).flatMap { node in
                state.nodes[node].isDirectory ? state.nodes[node].names.keys.map { $0 } : nil
            }
        }
        guard let names else { throw FileError(operation: "list", path: directory, errno: ENOENT) }
        return names.sorted()
    }

    /// See `FileSystem.metadata`.
    public func metadata(_ path: String) throws(FileError) -> FileMetadata? {
        try look(path) { state in
            state.node(at: path).map { node in
                FileMetadata(
                    identity: FileIdentity(device: 1, inode: UInt64(node)),
                    sizeBytes: Int64(state.nodes[node].bytes.count), isDirectory: state.nodes[node].isDirectory,
                    isRegular: !state.nodes[node].isDirectory, permissions: 0o644)
            }
        }
    }

    /// See `FileSystem.resolve`: there are no links.
    public func resolve(_ path: String) throws(FileError) -> String {
        guard try look(path, { $0.node(at: path) }) != nil else {
            throw FileError(operation: "look up", path: path, errno: ENOENT)
        }
        return "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// See `FileSystem.createDirectories`.
    public func createDirectories(_ path: String) throws(FileError) {
        if try metadata(path) != nil { return }
        let parent = parentDirectory(of: path)
        try createDirectories(parent)
        try change(.createDirectories(path)) { state throws(FileError) in
            guard state.node(at: path) == nil else { return }
            _ = state.make(SimulatedDisk.Node(isDirectory: true), try state.place(path, "create"))
        }
        try syncDirectory(parent)
    }

    /// See `FileSystem.rename`.
    public func rename(_ from: String, to: String) throws(FileError) {
        try change(.rename(from)) { state throws(FileError) in
            let (old, new) = (try state.place(from, "rename"), try state.place(to, "rename"))
            guard let node = state.nodes[old.directory].names[old.name] else {
                throw FileError(operation: "rename", path: from, errno: ENOENT)
            }
            // Two names of one file: nothing happens (rename(2)).
            if state.nodes[new.directory].names[new.name] == node { return }
            state.edit([
                SimulatedDisk.Edit(directory: old.directory, name: old.name, node: nil),
                SimulatedDisk.Edit(directory: new.directory, name: new.name, node: node),
            ])
        }
    }

    /// See `FileSystem.link`.
    public func link(_ from: String, to: String) throws(FileError) {
        try change(.link(to)) { state throws(FileError) in
            let new = try state.place(to, "link")
            guard let node = state.node(at: from) else {
                throw FileError(operation: "link", path: from, errno: ENOENT)
            }
            guard state.nodes[new.directory].names[new.name] == nil else {
                throw FileError(operation: "link", path: to, errno: EEXIST)
            }
            state.edit([SimulatedDisk.Edit(directory: new.directory, name: new.name, node: node)])
        }
    }

    /// See `FileSystem.remove`.
    public func remove(_ path: String) throws(FileError) {
        guard let standing = try metadata(path) else { throw FileError(operation: "remove", path: path, errno: ENOENT) }
        if standing.isDirectory { throw FileError(operation: "remove", path: path, errno: EISDIR) }
        try removeName(path)
    }

    /// See `FileSystem.removeDirectory`.
    public func removeDirectory(_ path: String) throws(FileError) {
        guard try list(path).isEmpty else { throw FileError(operation: "remove", path: path, errno: ENOTEMPTY) }
        try removeName(path)
    }

    private func removeName(_ path: String) throws(FileError) {
        try change(.remove(path)) { state throws(FileError) in
            let place = try state.place(path, "remove")
            state.edit([SimulatedDisk.Edit(directory: place.directory, name: place.name, node: nil)])
        }
    }

    /// See `FileSystem.syncDirectory`.
    public func syncDirectory(_ path: String) throws(FileError) {
        try change(.syncDirectory(path)) { state throws(FileError) in
            guard let node = state.node(at: path) else {
                throw FileError(operation: "sync", path: path, errno: ENOENT)
            }
            state.syncNames(in: node)
        }
    }

    /// See `FileSystem.freeBytes`.
    public func freeBytes(_ path: String) throws(FileError) -> Int64 {
        try look(path) { state in state.capacityBytes.map { Int64(max(0, $0 - state.usedBytes)) } ?? 1 << 40 }
    }
}

/// An open file of a simulated disk.
private final class SimulatedFile: File {
    let path: String
    private let node: Int
    private let number: Int
    private let owner: SimulatedFileSystem
    private let isClosed = Mutex(false)

    init(_ path: String, node: Int, number: Int, _ owner: SimulatedFileSystem) {
        self.path = path
        self.node = node
        self.number = number
        self.owner = owner
    }

    deinit { close() }

    private func look<Found: Sendable>(_ body: (inout SimulatedDisk.State) -> Found) throws(FileError) -> Found {
        if isClosed.withLock({ $0 }) { throw FileCall.look(path).failure(EBADF) }
        return try owner.look(path, body)
    }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        let piece = try look { state -> ArraySlice<UInt8> in
            let bytes = state.nodes[node].bytes
            let start = min(Int(offset), bytes.count)
            return bytes[start..<min(start + buffer.count, bytes.count)]
        }
        piece.withUnsafeBytes { buffer.copyMemory(from: $0) }
        return piece.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
        let call = FileCall.write(path, offset: offset, bytes: bytes.count)
        var count = bytes.count
        var failure: FileError?
        switch try owner.begin(call) {
        case .done: break
        case .doneAndDead: failure = call.failure(EIO)
        case .dead:
            failure = call.failure(EIO)
            count = owner.chance { $0.below(bytes.count + 1) }
        case .failed(let errno):
            failure = call.failure(errno)
            count = owner.chance { $0.below(bytes.count + 1) }
        }
        let written = Array(bytes.prefix(count))
        let isFull = owner.disk.state.withLock { state -> Bool in
            let end = Int(offset) + count
            let held = max(state.nodes[node].bytes.count, state.nodes[node].reservedEnd)
            if let capacity = state.capacityBytes, end > (held + 4095) / 4096 * 4096,
                state.usedBytes + end - held > capacity
            {
                return true
            }
            state.nodes[node].change(.write(offset: Int(offset), bytes: written))
            return false
        }
        if let failure { throw failure }
        if isFull { throw call.failure(ENOSPC) }
    }

    func sync() throws(FileError) {
        let call = FileCall.sync(path)
        switch try owner.begin(call) {
        case .done: owner.disk.state.withLock { $0.nodes[node].sync() }
        case .doneAndDead:
            owner.disk.state.withLock { $0.nodes[node].sync() }
            throw call.failure(EIO)
        case .dead: throw call.failure(EIO)
        case .failed(let errno):
            let seed = owner.chance { $0.next() }
            owner.disk.state.withLock { state in
                var random = SeededGenerator(seed)
                owner.disk.failSync(node, &state, &random)
            }
            throw call.failure(errno)
        }
    }

    func sizeBytes() throws(FileError) -> Int64 { try look { Int64($0.nodes[node].bytes.count) } }

    func truncate(toBytes size: Int64) throws(FileError) {
        // Also at its own size: what was reserved behind it goes.
        try owner.change(.truncate(path)) { state throws(FileError) in
            if state.nodes[node].bytes.count != Int(size) { state.nodes[node].change(.truncate(Int(size))) }
            state.nodes[node].reservedEnd = 0
        }
    }

    func reserve(upTo end: Int64) throws(FileError) -> Bool {
        let path = path
        try owner.change(.reserve(path, upTo: end)) { state throws(FileError) in
            let held = max(state.nodes[node].bytes.count, state.nodes[node].reservedEnd)
            if let capacity = state.capacityBytes, Int(end) > held, state.usedBytes + Int(end) - held > capacity {
                throw FileError(operation: "reserve space in", path: path, errno: ENOSPC)
            }
            state.nodes[node].reservedEnd = max(state.nodes[node].reservedEnd, Int(end))
        }
        return true
    }

    func identity() throws(FileError) -> FileIdentity { FileIdentity(device: 1, inode: UInt64(node)) }

    func tryLock() throws(FileError) -> Bool {
        let (process, number) = (owner.process, number)
        return try look { state in
            if let lock = state.nodes[node].lock, !state.deadProcesses.contains(lock.process), lock.file != number {
                return false
            }
            state.nodes[node].lock = (process, number)
            return true
        }
    }

    func close() {
        let wasClosed = isClosed.withLock { closed in
            defer { closed = true }
            return closed
        }
        guard !wasClosed else { return }
        owner.disk.state.withLock { state in
            if let lock = state.nodes[node].lock, lock.process == owner.process, lock.file == number {
                state.nodes[node].lock = nil
            }
        }
    }
}
