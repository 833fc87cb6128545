import EventLog
import Foundation
import TestSupport
import Testing

@testable import manager

@Suite("Reading a log that is begun anew") struct AttemptLogTests {
    private let folder: ScratchFolder
    private let name = "results_p/logs/t.1.log"

    init() throws { folder = try ScratchFolder() }

    /// A log with these files, each begun anew for the next.
    private func write(_ texts: String...) throws {
        for text in texts {
            if folder.has(name) {
                try LocalFileSystem().rename("\(folder.path)/\(name)", to: "\(folder.path)/\(name).1")
            }
            try folder.write(text, to: name)
        }
    }

    private func log() throws -> AttemptLog {
        let path = folder.path
        let found = try AttemptLog(of: "t", attempts: [1], directory: "results_p") { name throws(FileError) in
            try LocalFileSystem().open(path + "/" + name, .read)
        }
        return try #require(found)
    }

    private func all(_ log: inout AttemptLog) throws -> String {
        var text = ""
        while case let bytes = try log.next(), !bytes.isEmpty { text += String(decoding: bytes, as: UTF8.self) }
        return text
    }

    @Test func `begun anew once or twice between two looks, nothing is left out`() throws {
        try write("one ")
        var log = try log()
        #expect(try all(&log) == "one ")
        try write("two ")
        #expect(try all(&log) == "two ")
        try write("three ", "four ")
        #expect(try all(&log) == "three four ")
    }

    @Test func `who stays in a file is told of its end`() throws {
        try write("one ")
        var log = try log()
        log.staysInFile = true
        #expect(try all(&log) == "one " && !log.isAtEndOfFile)
        try write("two ")
        #expect(try all(&log).isEmpty && log.isAtEndOfFile)
    }

    @Test func `goes on in the file it was in, in the next one at its end, in the oldest there is where it is gone`()
        throws
    {
        try write("one two ")
        let id = try log().fileID()
        for (more, rest, offset) in [("", "two ", 4), ("three ", "two three ", 4), ("", "three ", 8)] {
            if !more.isEmpty { try write(more) }
            var log = try log()
            try log.resume(id, at: Int64(offset))
            #expect(try all(&log) == rest)
        }
        // Its inode may be in use again by now: its birth tells.
        try write("four ", "five ")
        var log = try log()
        try log.resume(id, at: 4)
        #expect(try all(&log) == "four five ")
        try LocalFileSystem().remove("\(folder.path)/\(name).1")
        log = try self.log()
        try log.resume(id, at: 4)
        #expect(try all(&log) == "five ")
    }
}
