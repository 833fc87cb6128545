import EventLog
import Glibc
import Synchronization

/// A disk in memory with a cache before it, as a kernel and a real disk behave: what was written or renamed is seen at
/// once, and is certain to be there after a power loss only once it was synced.
///
/// A process uses it through a `SimulatedFileSystem`. What it promises, and no more:
/// - bytes of a file, and its size, are durable after `File.sync`; a name after `syncDirectory` of its directory;
/// - a write never harms bytes outside its range; a rename is never half done, though after a rename into another
///   directory, of which only the new one was synced, both names may stand;
/// - all else that was not synced is kept or lost piece by piece, in any order (`losePower`).
public final class SimulatedDisk: Sendable {
    /// A change of a file's content that is not durable yet.
    enum Change {
        case write(offset: Int, bytes: [UInt8])
        case truncate(Int)
    }

    /// A file or a directory.
    struct Node {
        var isDirectory = false
        /// What reads see.
        var bytes: [UInt8] = []
        /// What is certain to be there after a power loss, but for `pending`.
        var durable: [UInt8] = []
        var pending: [Change] = []
        var reservedEnd = 0
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        /// Who holds the lock: a process and one of its open files.
        var lock: (process: Int, file: Int)?
    }

    /// One name that was set or taken away; nil: taken away.
    struct Edit {
        var directory: Int
        var name: String
        var node: Int?
    }

    struct State {
        var nodes: [Node] = [Node(isDirectory: true)]
        /// Changes of names that are not durable, in order; the edits of one happen together.
        var pendingNames: [[Edit]] = []
        var deadProcesses: Set<Int> = []
        var processes = 0
        var openFiles = 0
        var capacityBytes: Int?
    }

    /// The bytes that reach the disk whole or not at all, unless they are torn.
    public let blockBytes: Int
    let state = Mutex(State())

    /// An empty disk. `blockBytes`: what its writes are split into.
    public init(blockBytes: Int = 4096) { self.blockBytes = blockBytes }

    /// How many bytes its files may take; nil: any number.
    public var capacityBytes: Int? {
        get { state.withLock { $0.capacityBytes } }
        set { state.withLock { $0.capacityBytes = newValue } }
    }

    /// A process that begins to use the disk.
    public func process(_ faults: SimulatedFileSystem.Faults = SimulatedFileSystem.Faults()) -> SimulatedFileSystem {
        let number = state.withLock { state in
            state.processes += 1
            return state.processes
        }
        return SimulatedFileSystem(self, process: number, faults)
    }

    /// Every file that stands, as a process sees it, by path.
    public var files: [String: [UInt8]] {
        state.withLock { state in
            var found: [String: [UInt8]] = [:]
            func walk(_ node: Int, _ path: String) {
                for (name, child) in state.nodes[node].names {
                    if state.nodes[child].isDirectory {
                        walk(child, path + "/" + name)
                    } else {
                        found[path + "/" + name] = state.nodes[child].bytes
                    }
                }
            }
            walk(0, "")
            return found
        }
    }
}

extension SimulatedDisk.State {
    /// The node at a path; nil where nothing stands.
    func node(at path: String) -> Int? {
        var node = 0
        for part in path.split(separator: "/") where part != "." {
            guard let next = nodes[node].names[String(part)] else { return nil }
            node = next
        }
        return node
    }

    /// The directory and the last name of a path. Throws ENOENT where there is no such directory.
    func place(_ path: String, _ operation: String) throws(FileError) -> (directory: Int, name: String) {
        guard let directory = node(at: parentDirectory(of: path)), nodes[directory].isDirectory,
            let name = path.split(separator: "/").last
        else { throw FileError(operation: operation, path: path, errno: ENOENT) }
        return (directory, String(name))
    }

    /// Changes names, seen at once and not durable.
    mutating func edit(_ edits: [SimulatedDisk.Edit]) {
        for edit in edits { nodes[edit.directory].names[edit.name] = edit.node }
        pendingNames.append(edits)
    }

    /// Makes a new node under a name.
    mutating func make(_ node: SimulatedDisk.Node, _ place: (directory: Int, name: String)) -> Int {
        nodes.append(node)
        edit([SimulatedDisk.Edit(directory: place.directory, name: place.name, node: nodes.count - 1)])
        return nodes.count - 1
    }

    /// Makes the names in a directory durable. A rename out of it is durable as a whole; of one into it, the old name
    /// may come back.
    mutating func syncNames(in directory: Int) {
        var left: [[SimulatedDisk.Edit]] = []
        for edits in pendingNames {
            guard edits.contains(where: { $0.directory == directory }) else {
                left.append(edits)
                continue
            }
            let isOut = edits.contains { $0.directory == directory && $0.node == nil }
            for edit in edits where isOut || edit.directory == directory {
                nodes[edit.directory].durableNames[edit.name] = edit.node
            }
            let rest = isOut ? [] : edits.filter { $0.directory != directory }
            if !rest.isEmpty { left.append(rest) }
        }
        pendingNames = left
    }

    /// Bytes that the files which have a name take.
    var usedBytes: Int {
        var used = 0
        var seen: Set<Int> = []
        var open = [0]
        while let node = open.popLast() {
            for child in nodes[node].names.values where seen.insert(child).inserted {
                if nodes[child].isDirectory { open.append(child) }
                used += (max(nodes[child].bytes.count, nodes[child].reservedEnd) + 4095) / 4096 * 4096
            }
        }
        return used
    }
}

extension SimulatedDisk.Node {
    /// Changes the content, seen at once and not durable.
    mutating func change(_ change: SimulatedDisk.Change) {
        Self.apply(change, to: &bytes)
        pending.append(change)
    }

    /// Makes the content durable.
    mutating func sync() {
        for change in pending { Self.apply(change, to: &durable) }
        pending = []
    }

    /// Does to the bytes what the change says.
    static func apply(_ change: SimulatedDisk.Change, to bytes: inout [UInt8]) {
        switch change {
        case .write(let offset, let new):
            if bytes.count < offset { bytes += [UInt8](repeating: 0, count: offset - bytes.count) }
            if offset == bytes.count {
                bytes += new
            } else {
                bytes.replaceSubrange(offset..<min(offset + new.count, bytes.count), with: new)
            }
        case .truncate(let size):
            if size < bytes.count {
                bytes.removeLast(bytes.count - size)
            } else {
                bytes += [UInt8](repeating: 0, count: size - bytes.count)
            }
        }
    }
}
