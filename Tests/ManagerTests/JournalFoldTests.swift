import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@testable import manager

@Suite("A state that goes on with its journal")
struct JournalFoldTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test("reads what is new and not the segment from its beginning")
    func readsOn() throws {
        let manager = try ManagerInProcess(folder)
        let text = String(repeating: "x", count: 1000)
        for number in 0..<5000 { try manager.add("t\(number)", #"{"text":"\#(text)"}"#) }
        manager.processor.writer.waitUntilDurable(manager.processor.snapshot.position)
        let disk = CountingFileSystem()
        var fold = try JournalFold(DataDirectory(folder.path, on: disk))
        #expect(disk.bytesRead(".jsonl") > 5_000_000)
        for _ in 0..<3 {
            disk.reset()
            try manager.claim("w")
            manager.processor.writer.waitUntilDurable(manager.processor.snapshot.position)
            try fold.advance(within: 30)
            #expect(fold.state.position == manager.processor.snapshot.position)
            #expect(disk.bytesRead(".jsonl") < 2 << 20)
        }
        #expect(fold.state.counts[.assigned] == 3)
        manager.stop()
    }

    @Test("events that a start has cut after they were read are not folded into what comes in their place")
    func cut() throws {
        var manager = try ManagerInProcess(folder)
        try manager.add("a")
        try manager.add("lost")
        manager.processor.writer.waitUntilDurable(manager.processor.snapshot.position)
        var fold = try JournalFold(DataDirectory(folder.path))
        #expect(fold.state.status(of: "lost") == .pending)
        manager.stop()
        // As after a power loss: the last event never reached the disk.
        let name = try #require(try LocalFileSystem().list(folder.path + "/journal").first { $0.hasSuffix(".jsonl") })
        let lines = try folder.lines("journal/" + name)
        try folder.write(lines.dropLast().joined(separator: "\n") + "\n", to: "journal/" + name)
        manager = try ManagerInProcess(folder)
        try manager.add("other")
        manager.processor.writer.waitUntilDurable(manager.processor.snapshot.position)
        try fold.advance(within: 30)
        #expect(fold.state.status(of: "lost") == nil)
        #expect(StateEncoder.bytes(fold.state) == StateEncoder.bytes(manager.processor.snapshot))
        manager.stop()
    }
}
