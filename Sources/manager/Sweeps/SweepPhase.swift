import Projections

/// One phase of a sweep file: its points, and what all of its tasks share.
struct SweepPhase: Sendable {
    /// The phase's name.
    let name: String
    /// The line on which it begins, from 1.
    let line: Int
    /// The points in order: the last key varies fastest.
    let points: SweepPoints
}

/// The points of a phase, each made when it is asked for.
///
/// No two points of a phase are equal (see `PointKey`): values that stand twice in a list were dropped, and an
/// output_dir in the combinations makes no point of its own, but another directory for each.
struct SweepPoints: RandomAccessCollection, Sendable {
    /// Where a member of the config or a piece of a directory's name comes from.
    enum Source<Value: Sendable>: Sendable {
        /// The same for all points.
        case fixed(Value)
        /// The value of this dimension, by its place in `dimensions`.
        case dimension(Int)
    }

    /// One key of the combinations.
    struct Dimension: Sendable {
        /// The key.
        let key: String
        /// Its values, none equal to another; at least one.
        let values: [SweepValue]
    }

    /// One member of the config.
    struct Member: Sendable {
        /// The key as JSON, with quotes and colon.
        let keyJSON: [UInt8]
        /// The value as JSON.
        let value: Source<[UInt8]>
    }

    /// The task that all points have in common; config, seed and directories are filled in.
    let common: TaskSpec
    /// The config's members, in order.
    let members: [Member]
    /// The seed as JSON.
    let seed: Source<[UInt8]>
    /// The directories' names, in pieces; at least one.
    let directories: [[Source<String>]]
    /// The keys of the combinations, in order.
    let dimensions: [Dimension]
    /// By how many points a step of each dimension goes on.
    private let strides: [Int]
    /// The most bytes that a config of this phase comes to.
    let maximumConfigBytes: Int

    /// The number of points.
    let count: Int
    /// 0.
    var startIndex: Int { 0 }
    /// The number of points.
    var endIndex: Int { count }

    /// Makes the product; nil when it has more than `SweepFile.maximumPoints` points.
    init?(
        common: TaskSpec, members: [Member], seed: Source<[UInt8]>, directories: [[Source<String>]],
        dimensions: [Dimension]
    ) {
        self.common = common
        self.members = members
        self.seed = seed
        self.directories = directories
        self.dimensions = dimensions
        var strides = [Int](repeating: 1, count: dimensions.count)
        var count = 1
        for index in dimensions.indices.reversed() {
            strides[index] = count
            let (product, overflow) = count.multipliedReportingOverflow(by: dimensions[index].values.count)
            guard !overflow, product <= SweepFile.maximumPoints else { return nil }
            count = product
        }
        self.strides = strides
        self.count = count
        maximumConfigBytes = members.reduce(2) { sum, member in
            let valueBytes =
                switch member.value {
                case .fixed(let json): json.count
                case .dimension(let index): dimensions[index].values.map(\.json.count).max() ?? 0
                }
            return sum + member.keyJSON.count + valueBytes + 1
        }
    }

    /// The task of the point at a place: no id; config, seed and directories its own.
    subscript(position: Int) -> TaskSpec {
        var task = common
        var config: [UInt8] = []
        config.reserveCapacity(maximumConfigBytes)
        config.append(UInt8(ascii: "{"))
        for (index, member) in members.enumerated() {
            if index > 0 { config.append(UInt8(ascii: ",")) }
            config += member.keyJSON
            switch member.value {
            case .fixed(let json): config += json
            case .dimension(let dimension): config += value(of: dimension, at: position).json
            }
        }
        config.append(UInt8(ascii: "}"))
        task.config = config
        switch seed {
        case .fixed(let json): task.seed = json
        case .dimension(let dimension): task.seed = value(of: dimension, at: position).json
        }
        task.outputDirectories = outputDirectories(at: position)
        return task
    }

    /// The directories of the point at a place, each once.
    func outputDirectories(at position: Int) -> [String] {
        var result: [String] = []
        for pieces in directories {
            let path = OutputDirectory.normalized(path(pieces, at: position))
            if !result.contains(path) { result.append(path) }
        }
        return result
    }

    /// A directory's name at a place, as written.
    func path(_ pieces: [Source<String>], at position: Int) -> String {
        var path = ""
        for piece in pieces {
            switch piece {
            case .fixed(let text): path += text
            case .dimension(let dimension): path += value(of: dimension, at: position).text
            }
        }
        return path
    }

    /// The places that show every combination of the dimensions that a directory's name takes values from.
    func positions(covering pieces: [Source<String>]) -> [Int] {
        var places = [0]
        for index in dimensions.indices {
            let isUsed = pieces.contains { if case .dimension(index) = $0 { true } else { false } }
            guard isUsed else { continue }
            let steps = dimensions[index].values.indices
            places = places.flatMap { place in steps.map { place + $0 * strides[index] } }
        }
        return places
    }

    private func value(of dimension: Int, at position: Int) -> SweepValue {
        let values = dimensions[dimension].values
        return values[position / strides[dimension] % values.count]
    }
}
