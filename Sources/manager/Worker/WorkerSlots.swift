/// The slots of `manager run`: how many programs run at once, and each one's GPU.
struct WorkerSlots: Sendable, Equatable {
    /// One slot.
    struct Slot: Sendable, Equatable {
        /// The worker's name in the journal.
        let name: String
        /// Its GPU; nil without `--gpus`.
        let gpu: Int?
    }

    /// What is wrong with the flags.
    struct Fault: Error, Sendable, Equatable, CustomStringConvertible {
        /// One sentence.
        let description: String
    }

    /// In the order of their names.
    let slots: [Slot]
    /// GPUs that were named and get no slot, since there are fewer workers.
    let idleGPUs: [Int]

    /// The most slots.
    static let maximum = 1024
    /// The greatest GPU number.
    static let greatestGPU = 1023

    /// Each GPU that has a slot, once, in the order given.
    var gpus: [Int] {
        var seen: Set<Int> = []
        return slots.compactMap(\.gpu).filter { seen.insert($0).inserted }
    }

    /// Spreads `workers` slots over the entries of `gpus` (`0,1`), in turn; without `workers` one an entry, without
    /// `gpus` one in all. An entry may be repeated: that GPU gets a slot more.
    init(workers: Int?, gpus: String?) throws(Fault) {
        let entries = try gpus.map { text throws(Fault) in try Self.entries(text) } ?? []
        let count = workers ?? max(1, entries.count)
        guard (1...Self.maximum).contains(count) else {
            throw Fault(description: "--workers is \(count), 1 to \(Self.maximum) are allowed")
        }
        guard !entries.isEmpty else {
            slots = (0..<count).map { Slot(name: "local\($0)", gpu: nil) }
            idleGPUs = []
            return
        }
        var perGPU: [Int: Int] = [:]
        var slots: [Slot] = []
        for index in 0..<count {
            let gpu = entries[index % entries.count]
            let number = (perGPU[gpu] ?? 0) + 1
            perGPU[gpu] = number
            slots.append(Slot(name: number == 1 ? "gpu\(gpu)" : "gpu\(gpu)-\(number)", gpu: gpu))
        }
        self.slots = slots
        idleGPUs = entries.filter { perGPU[$0] == nil }
    }

    /// The slots of a worker agent: one a GPU with `gpus`, each called `NAME-gpuN`; else `count` of them, all on `gpu` where
    /// one is given, called NAME, or NAME-0, NAME-1 … where there are several.
    static func ofAgent(name: String, gpu: Int?, gpus: String?, count: Int?) throws(Fault) -> [Slot] {
        if let gpus {
            let numbers = try entries(gpus)
            guard Set(numbers).count == numbers.count else {
                throw Fault(description: "--gpus \(gpus) names a GPU twice: a worker has one slot a GPU")
            }
            return numbers.map { Slot(name: "\(name)-gpu\($0)", gpu: $0) }
        }
        if let gpu, !(0...greatestGPU).contains(gpu) {
            throw Fault(description: "--gpu is \(gpu): give the GPU's number")
        }
        let count = count ?? 1
        guard (1...256).contains(count) else { throw Fault(description: "--slots is \(count), 1 to 256 are allowed") }
        return (0..<count).map { Slot(name: count == 1 ? name : "\(name)-\($0)", gpu: gpu) }
    }

    private static func entries(_ text: String) throws(Fault) -> [Int] {
        var entries: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let word = part.filter { $0 != " " }
            guard word.allSatisfy({ $0.isASCII && $0.isNumber }), let gpu = Int(word), gpu <= greatestGPU else {
                throw Fault(
                    description: "--gpus \(text): '\(part)' is no GPU number; give numbers from 0 to \(greatestGPU) "
                        + "with commas between, such as 0,1")
            }
            entries.append(gpu)
        }
        return entries
    }
}
