import Foundation
import Testing

@Suite("The guides") struct GuideTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The text of all sources, with literals that go on in the next line joined.
    private static func sources() throws -> String {
        let files = try #require(
            FileManager.default.enumerator(
                at: root.appendingPathComponent("Sources"), includingPropertiesForKeys: nil))
        let text = try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
            .map { try String(contentsOf: $0, encoding: .utf8) }.joined(separator: "\n")
        return text.replacing(try Regex("\"\\s*\\+\\s*\""), with: "")
    }

    /// The messages of Troubleshooting.md: what stands in backticks in the first column of its tables.
    private static func messages() throws -> [String] {
        let guide = try String(
            contentsOf: root.appendingPathComponent("Documentation/Troubleshooting.md"), encoding: .utf8)
        return guide.split(separator: "\n").filter { $0.hasPrefix("| `") }.flatMap { line -> [String] in
            let cell = line.components(separatedBy: " | ")[0]
            return cell.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        }
    }

    @Test func `each message in Troubleshooting is one that the program has`() throws {
        let sources = try Self.sources()
        let messages = try Self.messages()
        #expect(messages.count > 60)
        for message in messages {
            for part in message.components(separatedBy: "…") where part.count > 7 {
                let stands = sources.contains(part)
                #expect(stands, "'\(part)' of '\(message)' stands nowhere in Sources")
            }
        }
    }
}
