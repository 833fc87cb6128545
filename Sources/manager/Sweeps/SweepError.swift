/// Why a sweep file is refused: a code to switch on, the place, and a sentence that tells what to do.
struct SweepError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, for programs.
    enum Code: String, Sendable {
        /// Over `SweepFile.maximumBytes`.
        case fileTooLarge
        /// No UTF-8, or no YAML.
        case brokenYAML
        /// A key stands twice in one mapping.
        case duplicateKey
        /// No top-level mapping has `combinations`.
        case noPhase
        /// A list without any value.
        case emptyList
        /// A value of another kind than the field takes.
        case wrongType
        /// A tag that JSON has nothing for, such as `!!binary`.
        case unknownType
        /// `.inf`, `.nan` or a hexadecimal number beyond 64 bits: JSON cannot hold it.
        case numberOutOfRange
        /// A value of the right kind that breaks a bound or a rule of its field.
        case badValue
        /// A phase name outside the bounds.
        case badPhaseName
        /// An output_dir that is absolute, leaves the data directory or has control characters.
        case badOutputDirectory
        /// `{key}` names nothing.
        case unknownPlaceholder
        /// More points, or larger configs, than the bounds allow.
        case tooLarge
    }

    /// What is wrong, for programs.
    let code: Code
    /// The sweep file's name, as given.
    let file: String
    /// The line, from 1; nil where the whole file is meant.
    let line: Int?
    /// The field, such as `exp1.combinations.seed`; nil where none is meant.
    let field: String?
    /// What is wrong and what to do, without place and final stop.
    let problem: String

    /// One sentence: file, line, field, what is wrong and what to do.
    var description: String {
        let place = [file, line.map { "line \($0)" }].compactMap { $0 }.joined(separator: ", ")
        return ([place] + [field, problem].compactMap { $0 }).joined(separator: ": ")
    }
}

/// Something in a sweep file that loads, but maybe not as its author meant it.
struct SweepWarning: Equatable, Sendable, CustomStringConvertible {
    /// The sweep file's name, as given.
    let file: String
    /// The line, from 1.
    let line: Int
    /// One sentence, without place and final stop.
    let text: String

    /// One sentence with its place.
    var description: String { "\(file), line \(line): \(text)" }
}
