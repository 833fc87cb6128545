import Foundation
import Testing

@Suite("The source tree is tidy")
struct TidyTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func sources(_ folder: String) throws -> [(name: String, text: String)] {
        let base = Self.root.appendingPathComponent(folder)
        let files = try #require(FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil))
        return try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }.map {
            ($0.lastPathComponent, try String(contentsOf: $0, encoding: .utf8))
        }
    }

    @Test("no file has more than 400 lines", arguments: ["Sources", "Tests"])
    func fileLength(folder: String) throws {
        for file in try sources(folder) {
            #expect(file.text.split(separator: "\n", omittingEmptySubsequences: false).count <= 401, "\(file.name)")
        }
    }

    @Test("modules import in one direction")
    func imports() throws {
        for file in try sources("Sources/EventLog") {
            #expect(!file.text.contains("import Projections"), "\(file.name)")
        }
        for file in try sources("Sources/Projections") {
            #expect(!file.text.contains("import manager"), "\(file.name)")
        }
    }

    @Test("every note that is written has a type that readers may ask for")
    func noteTypes() throws {
        let files = try sources("Sources")
        let known = try #require(files.first { $0.name == "EventTypes.swift" }).text
        var found = 0
        for file in files {
            for part in file.text.components(separatedBy: "type: \"").dropFirst() where file.text.contains(".note(") {
                found += 1
                let type = part.prefix { $0 != "\"" }
                #expect(known.contains("\"\(type)\""), "\(file.name): \(type)")
            }
        }
        #expect(found >= 4)
    }

    @Test("nothing is forced and nothing is left over")
    func forced() throws {
        let marks = ["try" + "!", "as" + "! ", "TO" + "DO", "FIX" + "ME", "fatal" + "Error(", " try" + "? "]
        for file in try sources("Sources") {
            for mark in marks { #expect(!file.text.contains(mark), "\(file.name): \(mark)") }
        }
    }
}
