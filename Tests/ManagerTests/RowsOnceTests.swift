import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@testable import manager

@Suite("A row counts once")
struct RowsOnceTests {
    private let folder: ScratchFolder
    private let file = "results_p/final_results.csv"

    init() throws { folder = try ScratchFolder() }

    /// Another file takes the name, as a program that writes its results anew does.
    private func replace(_ text: String) throws {
        try folder.write(text, to: "results_p/new.tmp")
        try LocalFileSystem().rename(folder.path + "/results_p/new.tmp", to: folder.path + "/" + file)
    }

    private enum Change: CaseIterable { case none, shorter, grownHeader, renamed, restart, restartRenamed }

    @Test("and completes no later attempt, whatever becomes of its file", arguments: Change.allCases)
    private func counted(change: Change) throws {
        var manager = try ManagerInProcess(folder)
        try manager.add("t")
        try folder.write("task_id,acc\nu,9\nt,1\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        try manager.operate(.requeue, "t")
        if change == .restart || change == .restartRenamed { manager = try manager.restarted() }
        switch change {
        case .none, .restart: break
        case .shorter: try folder.write("task_id,acc\nt,1\n", to: file)
        case .grownHeader: try folder.write("task_id,acc,loss\nu,9,\nt,1,\nv,1,2\n", to: file)
        case .renamed, .restartRenamed: try replace("task_id,acc\nt,1\nu,9\n")
        }
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.status("t") == .pending)
        // What is new in the file still counts, beside the old row.
        try folder.append(change == .grownHeader ? "t,2,\n" : "t,2\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        #expect(try manager.events("completed").last?["attempt"] as? Int == 0)
        manager.stop()
    }

    @Test("a new row in a file that was written anew completes the task beside the old one", arguments: [false, true])
    func newRow(restarts: Bool) throws {
        var manager = try ManagerInProcess(folder)
        try manager.add("t")
        try folder.write("task_id,acc\nt,1\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        try manager.operate(.requeue, "t")
        if restarts { manager = try manager.restarted() }
        try replace("task_id,acc\nt,2\nt,1\n")
        #expect(manager.reconciler.scan() == 1)
        #expect(try manager.events("completed").last?["row"] as? Int == 2)
        manager.stop()
    }

    @Test("a row that found its task complete completes no later attempt either", arguments: [false, true])
    func seen(restarts: Bool) throws {
        var manager = try ManagerInProcess(folder)
        try manager.add("t")
        try manager.claim("gpu0")
        try manager.complete("t", by: "gpu0")
        try folder.write("task_id,acc\nt,1\n", to: file)
        #expect(manager.reconciler.scan() == 0)
        try manager.operate(.requeue, "t")
        if restarts { manager = try manager.restarted() }
        try replace("task_id,acc\nu,3\nt,1\n")
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.status("t") == .pending)
        manager.stop()
    }

    @Test("a row that was not read yet when its task was opened again belongs to what was before")
    func unread() throws {
        let manager = try ManagerInProcess(folder)
        try manager.add("t")
        try folder.write("task_id,acc\nu,1\n", to: file)
        #expect(manager.reconciler.scan() == 0)
        try manager.claim("gpu0")
        try manager.complete("t", by: "gpu0")
        try folder.append("t,1\n", to: file)
        try manager.operate(.requeue, "t")
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.status("t") == .pending)
        try manager.claim("gpu0")
        // The same content again, as of a program without chance: another row.
        try folder.append("t,1\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        #expect(try manager.events("completed").last?["attempt"] as? Int == 2)
    }

    @Test("also where the file is written anew before that row was read")
    func unreadThenReplaced() throws {
        let manager = try ManagerInProcess(folder)
        try manager.add("t")
        try folder.write("task_id,acc\nu,1\n", to: file)
        #expect(manager.reconciler.scan() == 0)
        try manager.claim("gpu0")
        try manager.complete("t", by: "gpu0")
        try folder.append("t,1\n", to: file)
        try manager.operate(.requeue, "t")
        try replace("task_id,loss,acc\nu,,1\nt,,1\n")
        #expect(manager.reconciler.scan() == 0)
        try folder.append("t,,2\n", to: file)
        #expect(manager.reconciler.scan() == 1)
    }

    @Test("rows that the manager wrote complete nothing, also after a requeue, a lost state and a file read anew")
    func own() throws {
        var manager = try ManagerInProcess(folder)
        for id in ["t", "u"] { try manager.add(id) }
        try manager.claim("gpu0", 2)
        try manager.complete("t", by: "gpu0", result: #"{"acc":1}"#)
        try manager.operate(.requeue, "t")
        #expect(manager.reconciler.scan() == 0)
        try manager.complete("u", by: "gpu0", result: #"{"acc":1,"loss":2}"#)
        #expect(manager.reconciler.scan() == 0)
        let text = try folder.read(file)
        #expect(text.contains("t,1,p,42,1,1,\n"))
        manager = try manager.restarted()
        try replace(text.replacingOccurrences(of: "u,1,p,42,1,1,2\n", with: ""))
        #expect(manager.reconciler.scan() == 0)
        #expect(manager.status("t") == .pending)
        #expect(try manager.events("completed").allSatisfy { $0["via"] as? String == "worker" })
        // A copy of one of them elsewhere is no news either.
        try folder.write(text, to: "results_copy/final_results.csv")
        #expect(manager.reconciler.scan() == 0)
        manager.stop()
    }

    @Test("reading a file anew may be cut short by a crash: rows behind still count by their content")
    func interruptedAnew() throws {
        var manager = try ManagerInProcess(folder)
        for id in ["t", "first", "late"] { try manager.add(id) }
        let filler = (0..<1200).map { "u\($0),\(String(repeating: "x", count: 2000))\n" }.joined()
        try folder.write("task_id,note\n" + filler + "t,1\n", to: file)
        #expect(manager.reconciler.scan() == 1)
        try manager.operate(.requeue, "t")
        // Written anew, with a row at the beginning that completes a task; then the disk stops answering.
        try folder.write("task_id,note\nfirst,1\n" + filler + "t,1\nlate,1\n", to: file)
        manager.files.refuseReads(in: 2_000_000..<2_200_000)
        #expect(manager.reconciler.scan() <= 1)
        #expect(manager.status("first") == .complete)
        #expect(manager.status("late") == .pending)
        let read = try #require(try manager.events("csv_read").last)
        #expect((read["until"] as? Int ?? 0) > (read["bytes"] as? Int ?? 0))
        manager = try manager.restarted()
        #expect(manager.reconciler.scan() == 1)
        #expect(manager.status("late") == .complete)
        #expect(manager.status("t") == .pending)
        manager.stop()
    }

    @Test("how far a file was read is told at most once a minute, and at once before a task is opened again")
    func recorded() throws {
        let clock = ManualClock()
        let manager = try ManagerInProcess(folder, clock: clock)
        try manager.add("t")
        try manager.claim("gpu0")
        try manager.complete("t", by: "gpu0")
        try folder.write("task_id,acc\nu,1\n", to: file)
        for number in 0..<12 {
            try folder.append("t,\(number)\n", to: file)
            #expect(manager.reconciler.scan() == 0)
            clock.advance(.seconds(5))
        }
        #expect(try manager.events("csv_read").count == 1)
        clock.advance(.seconds(1))
        #expect(manager.reconciler.scan() == 0)
        #expect(try manager.events("csv_read").count == 2)
        try folder.append("t,12\n", to: file)
        #expect(manager.reconciler.scan() == 0)
        try manager.operate(.requeue, "t")
        let last = try manager.events().suffix(2)
        #expect(last.map { $0["type"] as? String } == ["csv_read", "requeued"])
        #expect(last.first?["more"] as? Bool == true)
        #expect((last.first?["rows"] as? [String])?.count == 1)
        clock.advance(.seconds(61))
        #expect(manager.reconciler.scan() == 0)
        #expect(try manager.events("csv_read").count == 3)
    }

    @Test("a state saved and loaded knows the rows as the journal does")
    func saved() throws {
        let manager = try ManagerInProcess(folder)
        for id in ["t", "u"] { try manager.add(id) }
        try manager.claim("gpu0", 1, heartbeat: 2.5)
        try folder.write("task_id,acc\nt,1\nt,1\nt,1\nu,2\n", to: file)
        #expect(manager.reconciler.scan() == 2)
        try manager.operate(.requeue, "u")
        try manager.claim("gpu1", 1, heartbeat: 0.5)
        let bytes = StateEncoder.bytes(manager.processor.snapshot)
        let read = try StateDecoder.state(bytes)
        #expect(StateEncoder.bytes(read) == bytes)
        #expect(read.runningAttempts.first?.heartbeatSeconds == 0.5)
        let row = try #require(try manager.events("completed").last?["row_sha256"] as? String)
        #expect(read.timesRowCounted(try #require(RowHash(hex: row.utf8))) == 1)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains(",\"csv_rows\":[[\"") && text.contains("\",3],\"\(row.prefix(16))\"]"))
        #expect(text.contains(",\"reopened\":[[1,0]],\"heartbeats\":[[1,0.5]]"))
        manager.stop()
        let again = try ManagerInProcess(folder)
        #expect(again.processor.snapshot.timesRowCounted(try #require(RowHash(hex: row.utf8))) == 1)
        again.stop()
    }
}
