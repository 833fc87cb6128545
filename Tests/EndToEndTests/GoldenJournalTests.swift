import EventLog
import Foundation
import TestSupport
import Testing

@Suite("Golden journals of format 1")
struct GoldenJournalTests {
    private func folder(_ name: String) -> String { DataFiles.fixtures + "/journals/" + name }

    @Test("each gives the state that it always gave, byte for byte", arguments: ["every_type", "known_gap", "brought"])
    func states(_ name: String) throws {
        let expected = try readWholeFile(folder(name) + "/state.json", on: LocalFileSystem())
        let replayed = try VerbRun(["replay", "--data-dir", folder(name)])
        #expect(replayed.status == 0)
        // What `more` holds grows with the fold's version, and the stored states with it; tasks never change.
        let more = ",\"more\":"
        #expect(
            replayed.output.components(separatedBy: more).first
                == String(decoding: expected, as: UTF8.self).components(separatedBy: more).first)
        #expect(replayed.output.utf8.elementsEqual(expected))
        #expect(try VerbRun(["verify", "--data-dir", folder(name)]).status == 0)
    }

    @Test("a newer format is refused with both numbers, before anything is folded")
    func newerFormat() throws {
        let replayed = try VerbRun(["replay", "--data-dir", folder("newer_format")])
        #expect(replayed.status == 1)
        #expect(replayed.errors.contains("journal format 2"))
        #expect(replayed.errors.contains("up to format 1"))
        #expect(try VerbRun(["verify", "--data-dir", folder("newer_format")]).status == 1)
    }

    @Test("an unknown type that is no note is an error that names it")
    func unknownType() throws {
        let replayed = try VerbRun(["replay", "--data-dir", folder("unknown_type")])
        #expect(replayed.status == 1)
        #expect(replayed.output.isEmpty)
        #expect(replayed.errors.contains("'teleported'"))
    }
}
