import EventLog
import Foundation
import TestSupport
import Testing

@testable import manager

private let top = ResultSample.top

@Suite("Headers that grow")
struct GrowingHeaderTests {
    let folder: ScratchFolder
    private let wide = #"{"accuracy":0.5,"loss":2}"#

    init() throws { folder = try ScratchFolder() }

    @Test("rows that stand get an empty field for each new column")
    func padded() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        try folder.append("blank follows,,,,,\n\nshort,1\n", to: top)
        _ = files.append([ResultSample.row("u", result: wide)])
        #expect(
            try folder.read(top) == """
                task_id,attempt,phase,seed,width,accuracy,loss
                t,1,p,42,1,0.5,
                blank follows,,,,,,

                short,1,
                u,1,p,42,1,0.5,2

                """)
    }

    @Test("the old file is kept under another name until the scan after the next")
    func kept() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        _ = files.append([ResultSample.row("u", result: wide)])
        #expect(try folder.lines(top + ".previous").count == 2)
        _ = files.scanPrevious()
        #expect(folder.has(top + ".previous"))
        _ = files.scanPrevious()
        #expect(!folder.has(top + ".previous"))
        #expect(try folder.lines(top).count == 3)
    }

    @Test("rows appended to the old file meanwhile are carried over once")
    func carriedOver() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        _ = files.append([ResultSample.row("u", result: wide)])
        try folder.append("mine,9,p,1,2,3\n", to: top + ".previous")
        #expect(files.scanPrevious().carriedOver == 1)
        try folder.append("late,9,p,1,2,3\nunfinished", to: top + ".previous")
        let last = files.scanPrevious()
        #expect(last.carriedOver == 2)
        #expect(files.scanPrevious().carriedOver == 0)
        #expect(
            try folder.lines(top).dropFirst() == [
                "t,1,p,42,1,0.5,", "u,1,p,42,1,0.5,2", "mine,9,p,1,2,3,", "late,9,p,1,2,3,", "unfinished,",
            ])
    }

    @Test("after a crash rows of the old file that are missing are carried over, and no other")
    func carriedOverAfterCrash() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        try folder.append("same,9,p,1,2,3\nsame,9,p,1,2,3\n", to: top)
        _ = files.append([ResultSample.row("u", result: wide)])
        try folder.append("same,9,p,1,2,3\nmine,9,p,1,2,3\n", to: top + ".previous")
        var next = ResultFiles(dataDirectory: folder.path, on: LocalFileSystem())
        #expect(next.recover(outputDirectories: []).carriedOver == 2)
        let lines = try folder.lines(top)
        #expect(lines.suffix(2) == ["same,9,p,1,2,3,", "mine,9,p,1,2,3,"])
        #expect(lines.count == 7)
        var third = ResultFiles(dataDirectory: folder.path, on: LocalFileSystem())
        #expect(third.recover(outputDirectories: []).carriedOver == 0)
        _ = third.scanPrevious()
        _ = third.scanPrevious()
        #expect(!folder.has(top + ".previous"))
    }

    @Test("a header may grow several times before the next scan")
    func severalTimes() throws {
        var files = ResultSample.files(folder)
        for (index, name) in ["a", "b", "c", "d"].enumerated() {
            _ = files.append([ResultSample.row("t\(index)", result: "{\"\(name)\":\(index)}")])
        }
        try folder.append("mine,9,p,1,2,3\n", to: top + ".previous")
        #expect(files.scanPrevious().carriedOver == 1)
        _ = files.scanPrevious()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [top])
        #expect(try folder.lines(top).last == "mine,9,p,1,2,3,,,")
        #expect(try folder.lines(top)[4] == "t3,1,p,42,1,,,,3")
    }

    @Test("a torn row is ended when the header grows")
    func torn() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        try folder.append("x,1,\"p", to: top)
        let outcome = files.append([ResultSample.row("u", result: wide)])
        #expect(try folder.lines(top)[2] == "x,1,\"p\",")
        #expect(outcome.ended.count == 1)
        _ = files.scanPrevious()
        _ = files.scanPrevious()
        #expect(try folder.lines(top).count == 4)
    }

    @Test("a header without newline becomes one")
    func unfinishedHeader() throws {
        try folder.write("note,task_id", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        #expect(try folder.lines(top) == ["note,task_id,attempt,phase,seed,width,accuracy", ",t,1,p,42,1,0.5"])
    }

    @Test("an empty file gets a header")
    func emptyFile() throws {
        try folder.write("", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        #expect(try folder.lines(top).count == 2)
    }
}

@Suite("Rows out, interrupted at every change of the disk")
struct InterruptedResultFilesTests {
    /// What stands before the batch, and the batch.
    enum Scene: CaseIterable {
        case newFile, standingFile, growingHeader, tornForeign
    }

    private func prepare(_ scene: Scene, _ folder: ScratchFolder) throws {
        switch scene {
        case .newFile: break
        case .standingFile:
            try folder.write("task_id,attempt,phase,seed,width,accuracy\nmine,,p,1,2,3\n", to: top)
        case .growingHeader:
            try folder.write("task_id,attempt,phase\nmine,,p\n", to: top)
        case .tornForeign:
            try folder.write("task_id,attempt,phase,seed,width,accuracy\nmine,,p,1,2,3\nmine,\"", to: top)
        }
    }

    /// The owed rows in the file, by task and attempt; also checks that every row reads.
    private func owedRows(_ folder: ScratchFolder, _ name: String) throws -> [String] {
        var reader = CSVReader(Array(try folder.read(name).utf8))
        let columns = try #require({ reader.next() }()).fields.count
        var found: [String] = []
        while let row = reader.next() {
            if row.text(0).hasPrefix("t") {
                #expect(row.fields.count == columns)
                found.append(row.text(0))
            }
        }
        #expect(reader.tail == nil)
        return found
    }

    @Test("the next start finds each row once, and loses none of others", arguments: Scene.allCases)
    func nextStart(scene: Scene) throws {
        let rows = ["t1", "t2", "t3"].map { ResultSample.row($0, into: ["d"]) }
        var call = 0
        while true {
            call += 1
            let folder = try ScratchFolder()
            try prepare(scene, folder)
            let failing = FailingFileSystem(failingCall: call)
            var dying = ResultFiles(dataDirectory: folder.path, on: failing)
            _ = dying.append(rows)
            if failing.changingCalls < call { break }

            var next = ResultFiles(dataDirectory: folder.path, on: LocalFileSystem())
            _ = next.recover(outputDirectories: ["d"])
            let outcome = next.append(rows, checkingPresence: true)
            #expect(outcome.owed.isEmpty && outcome.errors.isEmpty, "after call \(call): \(failing.log)")
            _ = next.scanPrevious()
            _ = next.scanPrevious()
            for name in [top, "d/" + top] {
                #expect(try owedRows(folder, name) == ["t1", "t2", "t3"], "after call \(call): \(failing.log)")
            }
            if scene != .newFile { #expect(try folder.lines(top)[1].hasPrefix("mine,,p")) }
            #expect(!folder.has(top + ".previous"))
        }
        #expect(call > 8)
    }

    @Test("one refusal, and the same batch again: each row once", arguments: Scene.allCases)
    func sameProcess(scene: Scene) throws {
        let rows = ["t1", "t2", "t3"].map { ResultSample.row($0, into: ["d"]) }
        var call = 0
        while true {
            call += 1
            let folder = try ScratchFolder()
            try prepare(scene, folder)
            let failing = FailingFileSystem(failingCall: call, .once)
            var files = ResultFiles(dataDirectory: folder.path, on: failing)
            let outcome = files.append(rows)
            if failing.changingCalls < call { break }
            _ = files.append([ResultSample.row("other")])
            if !outcome.owed.isEmpty {
                #expect(files.append(outcome.owed.map { rows[$0] }).owed.isEmpty, "after call \(call): \(failing.log)")
            }
            _ = files.scanPrevious()
            _ = files.scanPrevious()
            for name in [top, "d/" + top] {
                #expect(try owedRows(folder, name) == ["t1", "t2", "t3"], "after call \(call): \(failing.log)")
            }
        }
    }

    @Test("a scan that is interrupted carries each row over once")
    func scan() throws {
        var call = 0
        while true {
            call += 1
            let folder = try ScratchFolder()
            var files = ResultFiles(dataDirectory: folder.path, on: LocalFileSystem())
            _ = files.append([ResultSample.row("t")])
            _ = files.append([ResultSample.row("u", result: #"{"loss":1}"#)])
            try folder.append("mine,9,p,1,2,3\n", to: top + ".previous")
            let failing = FailingFileSystem(failingCall: call)
            var dying = ResultFiles(dataDirectory: folder.path, on: failing)
            _ = dying.recover(outputDirectories: [])
            _ = dying.scanPrevious()
            _ = dying.scanPrevious()
            if failing.changingCalls < call { break }
            var next = ResultFiles(dataDirectory: folder.path, on: LocalFileSystem())
            _ = next.recover(outputDirectories: [])
            _ = next.scanPrevious()
            _ = next.scanPrevious()
            let whole = try folder.lines(top).filter { $0 == "mine,9,p,1,2,3," }
            #expect(whole.count == 1, "after call \(call): \(failing.log)")
            #expect(!folder.has(top + ".previous"))
        }
    }
}
