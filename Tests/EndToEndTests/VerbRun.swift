import EventLog
import Foundation
import Testing

/// A verb of the real binary, run to its end, with what it was given and what it said.
struct VerbRun {
    let status: Int32
    let output: String
    let errors: String

    /// Runs a verb. `input` is its standard input, which is never a terminal.
    init(_ arguments: [String], environment: [String: String] = [:], input: String = "") throws {
        let process = Process()
        process.executableURL = RunningManager.binary
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let (standardInput, standardOutput, standardError) = (Pipe(), Pipe(), Pipe())
        process.standardInput = standardInput
        process.standardOutput = standardOutput
        process.standardError = standardError
        try process.run()
        standardInput.fileHandleForWriting.write(Data(input.utf8))
        try standardInput.fileHandleForWriting.close()
        let text = try standardOutput.fileHandleForReading.readToEnd() ?? Data()
        let complaints = try standardError.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        status = process.terminationStatus
        output = String(decoding: text, as: UTF8.self)
        errors = String(decoding: complaints, as: UTF8.self)
    }

    /// The output as one JSON object.
    func object() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any], "\(output)\(errors)")
    }
}

/// Files of a data directory, as tests look at them.
enum DataFiles {
    /// The repository's `Fixtures`.
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures").path

    /// A JSON object in a file.
    static func object(_ path: String) throws -> [String: Any] {
        let bytes = try readWholeFile(path, on: LocalFileSystem())
        return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    /// Every file below a directory with its bytes, by relative path.
    static func all(_ directory: String) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: directory) {
            let path = directory + "/" + name
            if try LocalFileSystem().metadata(path)?.isDirectory == false {
                found[name] = try readWholeFile(path, on: LocalFileSystem())
            }
        }
        return found
    }

    /// Names in a directory with a prefix.
    static func names(_ directory: String, prefix: String) throws -> [String] {
        guard FileManager.default.fileExists(atPath: directory) else { return [] }
        return try LocalFileSystem().list(directory).filter { $0.hasPrefix(prefix) }
    }
}
