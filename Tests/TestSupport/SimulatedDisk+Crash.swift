import EventLog
import Synchronization

extension SimulatedDisk {
    /// What becomes of everything that was not synced when the power goes.
    public enum Loss: Sendable, Hashable, CustomStringConvertible {
        /// All of it reached the disk.
        case nothing
        /// None of it did.
        case everything
        /// Names did, bytes did not: files are as long as they were when they were last synced.
        case bytes
        /// Bytes did, names did not.
        case names
        /// Names and sizes did; the blocks are zeros.
        case zeros
        /// Of each write only the blocks with odd numbers: block 1 and 3 are there, 0 and 2 are zeros.
        case evenBlocks
        /// Of each write all but the first block, which is zeros.
        case firstBlock
        /// Of each write the first half, cut anywhere; names did.
        case tornEnds
        /// Anything, piece by piece.
        case random(UInt64)

        /// All but the random one.
        public static let kinds: [Loss] = [
            .nothing, .everything, .bytes, .names, .zeros, .evenBlocks, .firstBlock, .tornEnds,
        ]

        /// Its name.
        public var description: String {
            switch self {
            case .nothing: "nothing is lost"
            case .everything: "everything is lost"
            case .bytes: "bytes are lost, names are kept"
            case .names: "names are lost, bytes are kept"
            case .zeros: "sizes are kept, blocks are zeros"
            case .evenBlocks: "even blocks are zeros"
            case .firstBlock: "the first block is zeros"
            case .tornEnds: "writes are torn"
            case .random(let seed): "random loss \(seed)"
            }
        }
    }

    private enum Fate { case kept, lost, zeros, head(Int), end(Int) }

    /// Takes the power from a disk whose processes have ended: what was not synced is kept or lost. Then what is left
    /// is what all see.
    public func losePower(_ loss: Loss) {
        var random = SeededGenerator(0)
        if case .random(let seed) = loss { random = SeededGenerator(seed) }
        if Simulation.tellsCalls { print("the power goes: \(loss)") }
        state.withLock { state in
            state.settleNames(loss, &random)
            for index in state.nodes.indices where !state.nodes[index].pending.isEmpty {
                state.nodes[index].durable = settled(state.nodes[index], loss, &random)
                state.nodes[index].pending = []
            }
            for index in state.nodes.indices {
                state.nodes[index].bytes = state.nodes[index].durable
                state.nodes[index].lock = nil
            }
        }
    }

    /// A sync that failed: any part of what was written is on the disk, and the kernel takes all of it for written.
    func failSync(_ index: Int, _ state: inout State, _ random: inout SeededGenerator) {
        state.nodes[index].durable = settled(state.nodes[index], .random(0), &random)
        state.nodes[index].pending = []
    }

    private func settled(_ node: Node, _ loss: Loss, _ random: inout SeededGenerator) -> [UInt8] {
        var image = node.durable
        for change in node.pending {
            guard case .write(let offset, let bytes) = change else {
                if keepsTruncation(loss, &random) { Node.apply(change, to: &image) }
                continue
            }
            var at = 0
            var number = 0
            while at < bytes.count {
                let end = min(at + blockBytes - (offset + at) % blockBytes, bytes.count)
                put(bytes[at..<end], at: offset + at, fate(number, loss, end - at, &random), &image)
                at = end
                number += 1
            }
        }
        return image
    }

    private func keepsTruncation(_ loss: Loss, _ random: inout SeededGenerator) -> Bool {
        switch loss {
        case .everything, .bytes: false
        case .random: random.oneIn(2)
        default: true
        }
    }

    private func fate(_ number: Int, _ loss: Loss, _ count: Int, _ random: inout SeededGenerator) -> Fate {
        switch loss {
        case .nothing, .names: return .kept
        case .everything, .bytes: return .lost
        case .zeros: return .zeros
        case .evenBlocks: return number % 2 == 0 ? .zeros : .kept
        case .firstBlock: return number == 0 ? .zeros : .kept
        case .tornEnds: return .head(count / 2)
        case .random:
            switch random.below(8) {
            case 0, 1, 2: return .kept
            case 3, 4: return .lost
            case 5: return .zeros
            case 6: return .head(random.below(count))
            default: return .end(random.below(count))
            }
        }
    }

    private func put(_ piece: ArraySlice<UInt8>, at offset: Int, _ fate: Fate, _ image: inout [UInt8]) {
        let bytes: [UInt8]
        var start = offset
        switch fate {
        case .lost: return
        case .kept: bytes = Array(piece)
        case .zeros: bytes = [UInt8](repeating: 0, count: piece.count)
        case .head(let count): bytes = Array(piece.prefix(count))
        case .end(let count):
            bytes = Array(piece.suffix(count))
            start += piece.count - count
        }
        guard !bytes.isEmpty else { return }
        Node.apply(.write(offset: start, bytes: bytes), to: &image)
    }
}

extension SimulatedDisk.State {
    fileprivate mutating func settleNames(_ loss: SimulatedDisk.Loss, _ random: inout SeededGenerator) {
        for edits in pendingNames {
            var kept = edits
            switch loss {
            case .everything, .names: kept = []
            case .random:
                let choice = random.below(5)
                if choice < 2 { kept = [] }
                let isAcross = edits.contains { $0.directory != edits.first?.directory }
                if choice == 2, isAcross { kept = edits.filter { $0.node != nil } }
            default: break
            }
            for edit in kept { nodes[edit.directory].durableNames[edit.name] = edit.node }
        }
        pendingNames = []
        for index in nodes.indices { nodes[index].names = nodes[index].durableNames }
    }
}
