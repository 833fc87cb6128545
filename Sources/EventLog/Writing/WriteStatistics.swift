/// How long and how large the writes of a journal were since the start.
public struct WriteStatistics: Sendable {
    /// From the first event that joined a write until it was durable, in seconds.
    public var append = Distribution(bounds: Distribution.latencyBounds)
    /// The sync alone, in seconds.
    public var sync = Distribution(bounds: Distribution.latencyBounds)
    /// Events of one write.
    public var events = Distribution(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16_384])
    /// Bytes of all writes.
    public var bytes: UInt64 = 0

    /// Nothing yet.
    public init() {}
}

/// Counts of values by upper bounds, and their sum: a histogram.
public struct Distribution: Sendable {
    /// 50 µs to 10 s.
    public static let latencyBounds: [Double] = [
        0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
    ]

    /// The upper bounds, ascending.
    public let bounds: [Double]
    /// By bound, and at the end those beyond the last.
    public private(set) var counts: [UInt64]
    /// The sum of all values.
    public private(set) var sum = 0.0

    /// Nothing yet.
    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// One more value.
    public mutating func note(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}
