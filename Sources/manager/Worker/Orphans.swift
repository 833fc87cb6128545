import ArgumentParser

/// What a worker does with programs that an earlier process of its name has left running.
enum Orphans: String, Sendable, ExpressibleByArgument, CaseIterable {
    /// Takes them up again: each program has a keeper, which lives on when the worker is killed.
    case adopt
    /// Ends them and gives their tasks back.
    case kill
}
