import Projections
import Testing

@testable import manager

/// Sweep files of one phase, read.
enum SweepSample {
    /// Reads a file named `s.yaml`.
    static func sweep(_ yaml: String) throws -> SweepFile { try SweepFile(yaml: Array(yaml.utf8), name: "s.yaml") }

    /// The configs of all points.
    static func configs(_ yaml: String) throws -> [String] {
        try sweep(yaml).phases.flatMap { $0.points.map { String(decoding: $0.config, as: UTF8.self) } }
    }

    /// The first point of a phase `p` that has these lines, indented by two spaces.
    static func point(_ lines: String) throws -> TaskSpec {
        let file = try sweep("p:\n  combinations: [{seed: [42]}]\n" + lines)
        return try #require(file.phases.first?.points.first)
    }

    /// The error of a file; nil when it loads.
    static func refusal(_ yaml: String) -> SweepError? {
        do {
            _ = try sweep(yaml)
            return nil
        } catch { return error as? SweepError }
    }

    /// The config with one plain scalar in it.
    static func scalar(_ text: String) throws -> String {
        try #require(try configs("p:\n  combinations:\n    - x: [\(text)]\n").first)
    }
}
