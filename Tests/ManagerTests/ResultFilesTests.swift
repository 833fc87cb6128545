import EventLog
import Foundation
import TestSupport
import Testing

@testable import manager

private let top = ResultSample.top

@Suite("Rows out")
struct ResultFilesTests {
    let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test("a row goes to every directory's file and to the data directory's")
    func everyFile() throws {
        var files = ResultSample.files(folder)
        let outcome = files.append([ResultSample.row("t", into: ["results_a", "results_b/c"])])
        #expect(outcome.owed.isEmpty && outcome.errors.isEmpty)
        let expected = "task_id,attempt,phase,seed,width,accuracy\nt,1,p,42,1,0.5\n"
        for name in [top, "results_a/" + top, "results_b/c/" + top] { #expect(try folder.read(name) == expected) }
    }

    @Test("nothing temporary is left behind")
    func noLeavings() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t", into: ["results_a"])])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [top, "results_a"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/results_a") == [top])
    }

    @Test("a second name that a crash left of a new file goes when its rows are found; another file of that name stays")
    func secondName() throws {
        var files = ResultSample.files(folder)
        let rows = [ResultSample.row("t", into: ["results_a"])]
        _ = files.append(rows)
        let path = folder.path + "/results_a/" + top
        try FileManager.default.linkItem(atPath: path, toPath: path + ".tmp")
        try folder.write("other", to: top + ".tmp")
        var later = ResultSample.files(folder)
        let outcome = later.append(rows, checkingPresence: true)
        #expect(outcome.owed.isEmpty && outcome.errors.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/results_a") == [top])
        #expect(try folder.read(top + ".tmp") == "other")
        #expect(try folder.lines("results_a/" + top).count == 2)
    }

    @Test("a row without the data directory's file goes to its directories alone")
    func extended() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t", into: ["results_a"], top: false)])
        #expect(folder.has("results_a/" + top) && !folder.has(top))
    }

    @Test("directories that are links to one get the row once")
    func linkedDirectories() throws {
        try FileManager.default.createDirectory(atPath: folder.path + "/real", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: "real")
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t", into: ["real", "link"])])
        #expect(try folder.lines("real/" + top).count == 2)
    }

    @Test("a file that is a link to the data directory's file gets the row once, and stays a link")
    func linkedFile() throws {
        try folder.write("a\n", to: top)
        try FileManager.default.createDirectory(atPath: folder.path + "/d", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/d/" + top, withDestinationPath: "../" + top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t", into: ["d"])])
        #expect(try folder.lines(top) == ["a,task_id,attempt,phase,seed,width,accuracy", ",t,1,p,42,1,0.5"])
        #expect(try folder.read("d/" + top) == folder.read(top))
    }

    @Test("a link to nowhere gets its file, with the call after the next")
    func danglingLink() throws {
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/" + top, withDestinationPath: "elsewhere.csv")
        var files = ResultSample.files(folder)
        #expect(files.append([ResultSample.row("t")]).owed == [0])
        #expect(files.append([ResultSample.row("t")]).owed == [])
        #expect(try folder.lines("elsewhere.csv").count == 2)
    }

    @Test("columns that the file has come first, ours fill in by name")
    func existingColumns() throws {
        try folder.write("accuracy,width,seed,phase,attempt,task_id,note\n", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        #expect(try folder.lines(top)[1] == "0.5,1,42,p,1,t,")
    }

    @Test("a result's value wins over the config's and the phase's and the seed's")
    func resultWins() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t", result: #"{"width":2,"phase":"q","seed":7}"#)])
        #expect(try folder.lines(top) == ["task_id,attempt,phase,seed,width", "t,1,q,7,2"])
    }

    @Test("a result cannot change whose row it is")
    func identityStays() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t", attempt: 3, result: #"{"task_id":"other","attempt":9,"x":1}"#)])
        #expect(try folder.lines(top) == ["task_id,attempt,phase,seed,width,x", "t,3,p,42,1,1"])
    }

    @Test("values are written as given: text, numbers, booleans, null as nothing, the rest as JSON")
    func values() throws {
        var files = ResultSample.files(folder)
        _ = files.append([
            ResultSample.row(
                "t", config: #"{"a":"x,y","b":1e-3,"c":true,"d":null,"e":[1,2]}"#, result: #"{"f":0.10,"g":"\u00e4"}"#)
        ])
        #expect(try folder.lines(top)[1] == #"t,1,p,42,"x,y",1e-3,true,,"[1,2]",0.10,ä"#)
    }

    @Test("rows of different phases in one batch make one header")
    func mixedBatch() throws {
        var files = ResultSample.files(folder)
        _ = files.append([
            ResultSample.row("t"), ResultSample.row("u", config: #"{"depth":3}"#, result: #"{"loss":1}"#),
            ResultSample.row("v"),
        ])
        #expect(
            try folder.lines(top) == [
                "task_id,attempt,phase,seed,width,accuracy,depth,loss", "t,1,p,42,1,0.5,,", "u,1,p,42,,,3,1",
                "v,1,p,42,1,0.5,,",
            ])
    }

    @Test("rows that others appended between two batches stay")
    func othersRows() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        try folder.append("mine,9,p,1,2,3\n", to: top)
        _ = files.append([ResultSample.row("u")])
        #expect(try folder.lines(top).map { $0.prefix(4) } == ["task", "t,1,", "mine", "u,1,"])
    }

    @Test("a file that others replaced is read anew")
    func replacedFile() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        try folder.write("note,task_id,attempt,phase,seed,width,accuracy\nlonger than it was before\n", to: "new")
        try FileManager.default.removeItem(atPath: folder.path + "/" + top)
        try FileManager.default.moveItem(atPath: folder.path + "/new", toPath: folder.path + "/" + top)
        _ = files.append([ResultSample.row("u")])
        #expect(try folder.lines(top).last == ",u,1,p,42,1,0.5")
    }

    @Test("a file that others emptied gets a header again")
    func emptiedFile() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        try folder.write("", to: top)
        _ = files.append([ResultSample.row("u")])
        #expect(try folder.lines(top) == ["task_id,attempt,phase,seed,width,accuracy", "u,1,p,42,1,0.5"])
    }

    @Test("a file that others removed is made again")
    func removedFile() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        try FileManager.default.removeItem(atPath: folder.path + "/" + top)
        _ = files.append([ResultSample.row("u")])
        #expect(try folder.lines(top).count == 2)
    }

    @Test("rows end as the file's header does")
    func lineEnds() throws {
        try folder.write("task_id,attempt,phase,seed,width,accuracy\r\n", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        #expect(
            try folder.read(top).utf8.elementsEqual(
                "task_id,attempt,phase,seed,width,accuracy\r\nt,1,p,42,1,0.5\r\n".utf8))
    }

    @Test("a byte order mark is no part of the first column's name")
    func byteOrderMark() throws {
        try folder.write("\u{FEFF}task_id,attempt,phase,seed,width,accuracy\n", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        #expect(try folder.lines(top).last == "t,1,p,42,1,0.5")
    }

    @Test("an output directory outside the data directory is refused, the other files get the row")
    func badDirectory() throws {
        var files = ResultSample.files(folder)
        let outcome = files.append([ResultSample.row("t", into: ["../out"])])
        // Nothing is owed to it: no state could ever be saved again.
        #expect(outcome.owed == [])
        #expect(
            outcome.errors.map(\.description) == [
                "no row is written to output directory '../out': it leaves the data directory; take out the '..'"
            ])
        #expect(folder.has(top))
    }

    @Test("a row whose result is no object is refused alone")
    func malformed() throws {
        var files = ResultSample.files(folder)
        let outcome = files.append([ResultSample.row("t", result: "[1]"), ResultSample.row("u")])
        #expect(outcome.owed == [] && outcome.errors.count == 1)
        #expect(try folder.lines(top).count == 2)
    }

    @Test("a hundred thousand rows are one append")
    func manyRows() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("first")])
        let counting = FailingFileSystem(failingCall: 0)
        var again = ResultFiles(dataDirectory: folder.path, on: counting)
        _ = again.append((0..<100_000).map { ResultSample.row("task_\($0)") })
        #expect(counting.log.map { $0.split(separator: " ")[0] } == ["write", "sync", "syncDirectory"])
        #expect(try folder.read(top).utf8.count { $0 == 10 } == 100_002)
    }
}

@Suite("Rows that are owed")
struct OwedRowsTests {
    let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test("rows that a file has are not written again")
    func present() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t"), ResultSample.row("u")])
        var next = ResultFiles(dataDirectory: folder.path, on: LocalFileSystem())
        _ = next.append(
            [ResultSample.row("t"), ResultSample.row("u"), ResultSample.row("v"), ResultSample.row("t", attempt: 2)],
            checkingPresence: true)
        #expect(try folder.lines(top).dropFirst().map { $0.prefix(3) } == ["t,1", "u,1", "v,1", "t,2"])
    }

    @Test("a row that one file has and another lacks goes to that other")
    func perFile() throws {
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        _ = files.append([ResultSample.row("t", into: ["d"])], checkingPresence: true)
        #expect(try folder.lines(top).count == 2)
        #expect(try folder.lines("d/" + top).count == 2)
    }

    @Test("a row of another program with the task's id and no attempt is not ours")
    func foreignRow() throws {
        try folder.write("task_id,attempt,phase,seed,width,accuracy\nt,,p,42,1,0.5\n", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")], checkingPresence: true)
        #expect(try folder.lines(top).count == 3)
    }

    @Test("a torn last row that begins an owed one is cut")
    func tornOwn() throws {
        try folder.write("task_id,attempt,phase,seed,width,accuracy\nt,1,p,4", to: top)
        var files = ResultSample.files(folder)
        let outcome = files.append([ResultSample.row("t"), ResultSample.row("u")], checkingPresence: true)
        #expect(try folder.lines(top).dropFirst() == ["t,1,p,42,1,0.5", "u,1,p,42,1,0.5"])
        #expect(outcome.ended.isEmpty)
    }

    @Test("a torn last row of another program is ended before ours, and told")
    func tornForeign() throws {
        let text = "task_id,attempt,phase,seed,width,accuracy\nx,1,p,4"
        try folder.write(text, to: top)
        var files = ResultSample.files(folder)
        let outcome = files.append([ResultSample.row("t")])
        #expect(try folder.lines(top).dropFirst() == ["x,1,p,4", "t,1,p,42,1,0.5"])
        #expect(outcome.ended.map(\.offset) == [42])
        #expect(outcome.ended.map(\.endOffset) == [Int64(text.utf8.count) + 1])
    }

    @Test("an open quote of a torn row is closed")
    func tornQuote() throws {
        try folder.write("task_id,attempt,phase,seed,width,accuracy\nx,1,\"p\nq", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")])
        #expect(try folder.read(top).hasSuffix("x,1,\"p\nq\"\nt,1,p,42,1,0.5\n"))
    }

    @Test("rows are found again after the header grew and columns were moved by a spreadsheet")
    func movedColumns() throws {
        try folder.write("accuracy,attempt,seed,task_id,phase,width\n0.5,1.0,42,t,p,1\n", to: top)
        var files = ResultSample.files(folder)
        _ = files.append([ResultSample.row("t")], checkingPresence: true)
        #expect(try folder.lines(top).count == 2)
    }

    @Test("a batch that failed in one file is not written twice to the others when it comes again")
    func retry() throws {
        try folder.write("", to: "d")
        var files = ResultSample.files(folder)
        #expect(files.append([ResultSample.row("t", into: ["d"]), ResultSample.row("u")]).owed == [0])
        try FileManager.default.removeItem(atPath: folder.path + "/d")
        #expect(files.append([ResultSample.row("t", into: ["d"])]).owed == [])
        #expect(try folder.lines(top).count == 3)
        #expect(try folder.lines("d/" + top).count == 2)
    }

    @Test("after a full disk the same batch comes through, each row once", arguments: 1...3)
    func fullDisk(call: Int) throws {
        var first = ResultSample.files(folder)
        _ = first.append([ResultSample.row("before")])
        let failing = FailingFileSystem(failingCall: call, .once, errno: 28)
        var files = ResultFiles(dataDirectory: folder.path, on: failing)
        let rows = (0..<50).map { ResultSample.row("t\($0)") }
        let outcome = files.append(rows)
        #expect(outcome.owed == Array(0..<50))
        #expect(outcome.errors.allSatisfy { $0.isDiskFull })
        #expect(outcome.errors.first?.description.contains(top) == true || call == 3)
        _ = files.append([ResultSample.row("between")])
        #expect(files.append(rows).owed == [])
        let lines = try folder.lines(top)
        #expect(lines.count == 53)
        #expect(Set(lines).count == 53)
    }
}
