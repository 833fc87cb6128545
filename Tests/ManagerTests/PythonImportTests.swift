import EventLog
import Foundation
import Projections
import Synchronization
import TestSupport
import Testing

@testable import manager

@Suite("Import, stopped at each step")
struct PythonImportTests {
    private let old = #"""
        {"tasks": {"p_0_42": {"task_id": "p_0_42", "phase": "p", "config": {"x": 1}, "seed": 42, "status": "assigned",
          "assigned_to": "gpu0", "assigned_at": "2025-12-19T23:10:15", "retry_count": 2, "last_error": "boom"},
         "other": {"phase": "p", "config": {"x": 2}, "status": "failed", "retry_count": 4, "last_error": null}}}
        """#

    private func start(_ data: DataDirectory) throws -> ManagerState {
        let results = ResultWriter(ResultFiles(dataDirectory: data.path, on: LocalFileSystem()), report: { _ in })
        defer { results.close() }
        let loaded = try Startup(data: data, segmentBytes: 1 << 20, warn: { _ in }).run(results: results)
        loaded.store.close()
        return loaded.state
    }

    @Test("whatever step it stops at, the next start has all of it, once, and a copy of the old file")
    func stopAnywhere() throws {
        let whole = FailingFileSystem(failingCall: 0)
        var calls = 1
        for failing in 0...200 where failing < calls {
            let scratch = try TemporaryDirectory()
            let path = scratch.path + "/manager_state.json"
            try old.write(toFile: path, atomically: true, encoding: .utf8)
            let fileSystem = failing == 0 ? whole : FailingFileSystem(failingCall: failing)
            let data = DataDirectory(scratch.path, on: fileSystem)
            if failing == 0 {
                _ = try start(data)
                calls = whole.changingCalls + 1
                #expect(calls > 10)
            } else {
                #expect(throws: StartFailure.self, "call \(failing)") { _ = try start(data) }
            }
            // The old file stands until the first snapshot; nothing else was read meanwhile.
            #expect(try String(contentsOfFile: path, encoding: .utf8) == old)
            let state = try start(DataDirectory(scratch.path))
            #expect(state.taskCount == 2, "call \(failing)")
            #expect(state.position.rawValue == 15, "call \(failing)")
            #expect(state.status(of: "p_0_42") == .assigned)
            #expect(state.status(of: "other") == .failed)
            #expect(state.nextCounter == 1)
            let task = String(decoding: try #require(state.taskJSON("other")), as: UTF8.self)
            #expect(task.contains(#""retry_count":4,"last_error":null"#))
            let copies = try LocalFileSystem().list(scratch.path).filter {
                $0.contains(".imported-") && !$0.hasSuffix(".tmp")
            }
            #expect(copies.count == 1, "call \(failing): \(copies)")
        }
    }

    @Test("Python's isoformat is read with and without a fraction and a zone, and nothing else is")
    func isoFormat() throws {
        #expect(WallTime.isoFormat("2025-12-19T23:10:15")?.time.inUTC.description == "2025-12-19T23:10:15.000000Z")
        #expect(WallTime.isoFormat("2025-12-19 23:10:15.5")?.time.inUTC.description == "2025-12-19T23:10:15.500000Z")
        #expect(WallTime.isoFormat("2025-12-19T23:10:15.123456+01:00")?.offsetSeconds == 3600)
        #expect(WallTime.isoFormat("2025-12-19T23:10:15Z")?.offsetSeconds == 0)
        for text in [
            "2025-02-30T00:00:00", "2025-12-19", "2025-12-19T24:00:00", "2025-12-19T23:10:15.", "yesterday", "",
        ] {
            #expect(WallTime.isoFormat(text) == nil, "\(text)")
        }
    }
}
