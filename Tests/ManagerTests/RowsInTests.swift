import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@testable import manager

@Suite("Rows of others complete tasks")
struct RowsInTests {
    private let folder: ScratchFolder
    private let file = "results_p/final_results.csv"

    init() throws { folder = try ScratchFolder() }

    @Test("a row whose task_id names a task completes it from pending, assigned, held and failed, not from cancelled")
    func statuses() throws {
        let manager = try ManagerInProcess(folder)
        for id in ["assigned", "pending", "held", "cancelled"] { try manager.add(id) }
        try manager.claim("gpu0")
        try manager.operate(.hold, "held")
        try manager.operate(.cancel, "cancelled")
        try folder.write("task_id,acc\nassigned,1\npending,2\nheld,3\ncancelled,4\nunknown,5\n", to: file)
        #expect(manager.reconciler.scan() == 3)
        for id in ["assigned", "pending", "held"] { #expect(manager.status(id) == .complete, "\(id)") }
        #expect(manager.status("cancelled") == .cancelled)
        #expect(manager.warnings.filter { $0.contains("row 5: its task cancelled is cancelled") }.count == 1)
        let done = try manager.events("completed")
        #expect(done.map { $0["task"] as? String } == ["assigned", "pending", "held"])
        #expect(done.allSatisfy { $0["via"] as? String == "csv" && $0["actor"] as? String == "csv" })
        #expect(done.allSatisfy { $0["file"] as? String == file && ($0["row_sha256"] as? String)?.count == 64 })
        #expect(done.map { $0["row"] as? Int } == [2, 3, 4])
        #expect(done.map { $0["attempt"] as? Int } == [1, 0, 0])
        #expect(done.map { $0["worker"] as? String } == ["gpu0", nil, nil])
        // One command: all but the last of its events say that there is more.
        let read = try #require(try manager.events("csv_read").last)
        #expect(read["more"] == nil && done.allSatisfy { $0["more"] as? Bool == true })
        #expect(read["bytes"] as? Int == 62)
    }

    @Test("a column that stands twice with different values completes nothing, with equal ones or of a result it does")
    func repeatedColumns() throws {
        let manager = try ManagerInProcess(folder)
        for id in ["a", "b", "c"] { try manager.add(id) }
        try folder.write("task_id,acc,task_id,acc\na,1,b,1\nb,1,b,2\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        #expect(manager.status("a") == .pending && manager.status("b") == .complete)
        let said = manager.warnings.filter { $0.contains("row 2: the header has the column 'task_id' several times") }
        #expect(said.count == 1, "\(manager.warnings)")
        #expect(!manager.warnings.contains { $0.contains("row 3") })
    }

    @Test("a lost attempt is completed by its row: with the latest attempt and its worker")
    func lost() throws {
        let manager = try ManagerInProcess(folder)
        try manager.add("t")
        try manager.claim("gpu0")
        _ = try manager.processor.takeBack("t", by: ManagerState.Speaker(worker: "gpu0"), actor: "test")
        try folder.write("task_id,acc\nt,1\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        let done = try #require(try manager.events("completed").first)
        #expect(done["attempt"] as? Int == 1)
        #expect(done["worker"] as? String == "gpu0")
    }

    @Test("a failed task whose row comes after all is complete")
    func failed() throws {
        let manager = try ManagerInProcess(folder)
        try manager.add("t")
        for _ in 1...4 {
            try manager.claim("gpu0")
            _ = try manager.processor.fail(
                "t", by: ManagerState.Speaker(worker: "gpu0"), error: "boom", actor: "test")
        }
        #expect(manager.status("t") == .failed)
        try folder.write("task_id,acc\nt,1\n", to: file)
        #expect(manager.reconciler.scan() == 1)
    }

    @Test("a row without task_id must agree in every key column; numbers as numbers")
    func key() throws {
        let manager = try ManagerInProcess(folder)
        let key = ["phase", "seed", "width", "dataset"]
        try manager.add("a", #"{"width":4,"dataset":"mnist","lr":0.1}"#, key: key)
        try manager.add("b", #"{"width":16,"dataset":"mnist","lr":0.1}"#, key: key)
        try manager.add("no-key", #"{"width":4,"dataset":"mnist"}"#)
        try folder.write(
            "phase,seed,dataset,width,acc\np,42,mnist,4.0,1\np,43,mnist,16,2\np,42,cifar,16,3\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        #expect(manager.status("a") == .complete)
        #expect(manager.status("b") == .pending)
        #expect(manager.status("no-key") == .pending)
    }

    @Test("a row with the id of one task and the values of another speaks for the one alone")
    func idWins() throws {
        let manager = try ManagerInProcess(folder)
        try manager.add("a", #"{"width":4}"#, key: ["width"])
        try manager.add("b", #"{"width":16}"#, key: ["width"])
        try folder.write("task_id,width\na,16\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        #expect(manager.status("a") == .complete)
        #expect(manager.status("b") == .pending)
    }

    @Test("a bad row is warned of once, however often the header grows; another one at its place anew")
    func warnedOnceOverGrowth() throws {
        let manager = try ManagerInProcess(folder)
        for id in ["a", "b", "c"] { try manager.add(id) }
        try folder.write("task_id,acc\nx,1,2\nx\n", to: file)
        #expect(manager.reconciler.scan() == 0)
        for (id, column) in [("a", "one"), ("b", "two"), ("c", "three")] {
            try manager.claim("gpu0")
            try manager.complete(id, by: "gpu0", result: "{\"\(column)\":1}")
            #expect(try eventuallyBlocking { try folder.read(file).contains(column) })
            #expect(manager.reconciler.scan() == 0)
        }
        let bad = manager.warnings.filter { $0.contains("fields, the header has") }
        #expect(bad.count == 2, "\(bad)")
        try folder.write("task_id,acc\ny,1,2\n", to: file)
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.warnings.filter { $0.contains("fields, the header has") }.count == 3)
        manager.stop()
    }

    @Test("ambiguous rows, missing columns and other numbers of fields complete nothing and are warned of once")
    func refused() throws {
        var manager = try ManagerInProcess(folder)
        try manager.add("a", #"{"width":4}"#, key: ["phase"])
        try manager.add("b", #"{"width":16}"#, key: ["phase"])
        try manager.add("c", #"{"depth":1}"#, key: ["phase", "depth"], phase: "q")
        try folder.write("phase,acc\np,1\nq,2\nq,3\np,1,2\np\n", to: file)
        for _ in 0..<3 { #expect(manager.reconciler.scan() == 0) }
        #expect(manager.warnings.filter { $0.contains("row 2") && $0.contains("several tasks (b, a") }.count == 1)
        #expect(manager.warnings.filter { $0.contains("without the column 'depth'") }.count == 1)
        #expect(manager.warnings.filter { $0.contains("fields, the header has 2") }.count == 2)
        #expect(manager.warnings.count == 4)
        manager = try manager.restarted()
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.warnings.isEmpty)
        manager.stop()
    }

    @Test(
        "a row is read when it has its line end; CRLF, quoted line ends, a byte order mark and a second header are read"
    )
    func forms() throws {
        let manager = try ManagerInProcess(folder)
        for id in ["a", "b", "c"] { try manager.add(id) }
        try folder.write("\u{FEFF}\"task_id\",note\r\na,\"two\r\nlines, \"\"quoted\"\"\"\r\n\r\nb,to", to: file)
        #expect(manager.reconciler.scan() == 1)
        #expect(manager.status("b") == .pending)
        try folder.append("rn\r\n\"task_id\",note\r\ntask_id,note\r\nc,x\r\n", to: file)
        #expect(manager.reconciler.scan() == 2)
        #expect(manager.warnings.isEmpty)
        #expect(try manager.events("completed").map { $0["row"] as? Int } == [2, 4, 7])
    }

    @Test("lines that end with CR alone are told of once, and rows of ours are not mixed into them")
    func bareReturns() throws {
        let manager = try ManagerInProcess(folder)
        for id in ["a", "b"] { try manager.add(id) }
        try folder.write("task_id,acc\ra,1\rb,2\r", to: file)
        for _ in 0..<2 { #expect(manager.reconciler.scan() == 0) }
        #expect(manager.warnings.count == 1)
        #expect(manager.warnings.first?.contains("row 1: its lines end with CR alone") == true, "\(manager.warnings)")
        try manager.claim("w")
        try manager.complete("a", by: "w", result: #"{"acc":1}"#)
        #expect(try folder.read(file) == "task_id,acc\ra,1\rb,2\r")
        #expect(manager.warnings.contains { $0.contains("no row can be added; the rows stay owed") })
        // Behind rows with LF, a CR inside quotes is a value, and one at the end may be half of a CRLF.
        try folder.write("task_id,note\nx,\"one\rtwo\"\nb,fine\r", to: "results_q/final_results.csv")
        let before = manager.warnings.count
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.warnings.count == before)
        try folder.append("\nx,1\rx,2\r", to: "results_q/final_results.csv")
        #expect(manager.reconciler.scan() == 1)
        #expect(manager.warnings.last?.contains("row 4: its lines end with CR alone") == true, "\(manager.warnings)")
        manager.stop()
    }

    @Test("a row that names no task is told how it can name one")
    func advice() throws {
        let manager = try ManagerInProcess(folder)
        try manager.add("a", #"{"width":4}"#, key: ["phase"])
        try manager.add("b", #"{"width":16}"#, key: ["phase"])
        try manager.add("c", #"{"depth":1}"#, key: ["depth"], phase: "q")
        try folder.write("task_id,phase\nother,p\n,p\nother,q\n,q\n", to: file)
        #expect(manager.reconciler.scan() == 0)
        let said = manager.warnings
        func says(_ parts: String...) -> Bool { said.contains { line in parts.allSatisfy { line.contains($0) } } }
        #expect(says("row 2: there is no task 'other', and it agrees with several", "correct its task_id"), "\(said)")
        #expect(says("row 3: it agrees with several", "fill in its task_id"), "\(said)")
        #expect(says("row 4: there is no task 'other', and without the column 'depth'"), "\(said)")
        #expect(says("csv: without the column 'depth'", "fill in its task_id"), "\(said)")
        #expect(!says("add a task_id column"), "\(said)")
        manager.stop()
    }

    @Test("only what was appended is read, and a start reads the beginning once to know it again")
    func onlyAppended() throws {
        var manager = try ManagerInProcess(folder)
        try manager.add("t")
        let rows = (0..<20_000).map { "u\($0),1\n" }.joined()
        try folder.write("task_id,acc\n" + rows, to: file)
        #expect(manager.reconciler.scan() == 0)
        let size = try folder.read(file).utf8.count
        #expect(manager.files.bytesRead(".csv") == size)
        manager.files.reset()
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.files.bytesRead(".csv") == 0)
        try folder.append("t,1\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        // The header and the last row are compared, the four new bytes are read.
        #expect(manager.files.bytesRead(".csv") == 12 + 9 + 4)
        manager = try manager.restarted()
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.files.bytesRead(".csv") == size + 4)
        manager.stop()
    }

    @Test("a file that two directories lead to is read once; others are found by pattern, by output_dirs and by name")
    func places() throws {
        let manager = try ManagerInProcess(folder, patterns: [folder.path + "/elsewhere/*.csv", "more/x?.csv"])
        for id in ["a", "b", "c", "d"] { try manager.add(id, phase: "q") }
        try folder.write("task_id\na\n", to: "results_q/final_results.csv")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/results_again", withDestinationPath: folder.path + "/results_q")
        try folder.write("task_id\nb\n", to: "elsewhere/any.csv")
        try folder.write("task_id\nc\n", to: "more/x1.csv")
        try folder.write("task_id\nd\n", to: "final_results.csv")
        #expect(manager.reconciler.scan() == 4)
        #expect(
            Set(try manager.events("csv_read").compactMap { $0["file"] as? String })
                == ["results_q/final_results.csv", "elsewhere/any.csv", "more/x1.csv", "final_results.csv"])
    }

    @Test("a quote that is never closed costs one line, not the rest of the file")
    func openQuote() throws {
        let manager = try ManagerInProcess(folder)
        for id in ["a", "b"] { try manager.add(id) }
        try folder.write("task_id,note\na,ok\nx,\"never closed\nb,ok\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        let filler = String(repeating: "u,0123456789\n", count: 350_000)
        try folder.append(filler, to: file)
        #expect(manager.reconciler.scan() == 1)
        #expect(manager.status("b") == .complete)
        #expect(manager.warnings.filter { $0.contains("longer than 4 MiB") }.count == 1)
        // A line without end is passed over when it has one.
        try folder.append("y," + String(repeating: "z", count: 5 << 20), to: file)
        #expect(manager.reconciler.scan() == 0)
        try manager.add("c")
        try folder.append("\nc,ok\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        let again = try manager.restarted()
        #expect(again.reconciler.scan() == 0)
        #expect(again.files.bytesRead(".csv") == (try folder.read(file).utf8.count))
        again.stop()
    }

    @Test("a torn row that we had to end completes nothing, now and when the file is read anew, and is warned of")
    func ended() throws {
        var manager = try ManagerInProcess(folder)
        for id in ["ours", "torn"] { try manager.add(id) }
        try folder.write("task_id,attempt,phase,seed,x,acc\ntorn,7,p,42,1,0.9", to: file)
        try manager.claim("gpu0")
        try manager.complete("ours", by: "gpu0", result: #"{"acc":1}"#)
        #expect(try folder.lines(file).suffix(2) == ["torn,7,p,42,1,0.9", "ours,1,p,42,1,1"])
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.warnings.contains { $0.contains("had no line end") })
        let text = try folder.read(file)
        manager = try manager.restarted()
        try folder.write(text + "other,1,p,42,1,1\n", to: "new.csv")
        try LocalFileSystem().rename(folder.path + "/new.csv", to: folder.path + "/" + file)
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.status("torn") == .pending)
        manager.stop()
    }
}
