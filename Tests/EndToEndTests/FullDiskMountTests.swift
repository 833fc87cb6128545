import EventLog
import Foundation
import TestSupport
import Testing

@Suite("A real small disk that fills")
struct FullDiskMountTests {
    /// A small mounted file system, which goes with the value.
    private final class SmallDisk {
        let path: String
        private let scratch: TemporaryDirectory

        /// Nil where this machine lets nobody mount.
        init?(_ kind: String, mebibytes: Int = 48) throws {
            scratch = try TemporaryDirectory()
            path = scratch.path + "/disk"
            try LocalFileSystem().createDirectories(path)
            let image = scratch.path + "/image"
            let commands =
                kind == "tmpfs"
                ? ["mount -t tmpfs -o size=\(mebibytes)m none '\(path)'"]
                : [
                    "truncate -s \(mebibytes)M '\(image)'", "mkfs.ext4 -q -m 0 '\(image)'",
                    "mount -o loop '\(image)' '\(path)'",
                ]
            for command in commands where try Self.run(command) != 0 { return nil }
        }

        deinit { do { _ = try Self.run("umount -l '\(path)'") } catch { print("still mounted: \(path)") } }

        private static func run(_ command: String) throws -> Int32 {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", command]
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus
        }

        /// Takes all that is left.
        func fill() throws {
            let file = try LocalFileSystem().open(path + "/filler", .update)
            defer { file.close() }
            var at: Int64 = 0
            for piece in [1 << 20, 1 << 12] {
                let zeros = [UInt8](repeating: 0, count: piece)
                while true {
                    do throws(FileError) { try writeAll(zeros, to: file, at: at) } catch {
                        try #require(error.isDiskFull)
                        break
                    }
                    at += Int64(piece)
                }
            }
        }
    }

    @Test("a worker whose disk takes a few blocks more gives tasks back or completes them, and fails none of them")
    func workersDisk() throws {
        guard let disk = try SmallDisk("tmpfs") else {
            print("skipped: this machine does not let the test mount a tmpfs of its own (that takes root)")
            return
        }
        let scratch = try TemporaryDirectory()
        let manager = try RunningManager(scratch.path)
        func work(_ limit: [String]) throws -> StartedProgram {
            try StartedProgram(
                [
                    RunningManager.binary.path, "worker", "--url", "tcp://127.0.0.1:\(manager.workers)", "--dir",
                    disk.path,
                    "--name", "w",
                ] + limit + ["--", "sh", "-c", "echo out"], outputPath: scratch.path + "/worker.out")
        }
        func add(_ id: String, priority: Int) throws {
            let task = #"{"task_id":"\#(id)","phase":"p","config":{},"max_retries":0,"priority":\#(priority)}"#
            try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", task).status == 200)
        }
        try add("first", priority: 0)
        #expect(try work(["--max-tasks", "1"]).wait() == 0)
        var said = ""
        for pages in 1...8 {
            try disk.fill()
            let filler = try LocalFileSystem().open(disk.path + "/filler", .update)
            try filler.truncate(toBytes: try filler.sizeBytes() - Int64(pages) * 4096)
            filler.close()
            try add("n\(pages)", priority: pages)
            let worker = try work(["--max-tasks", "1"])
            let status = worker.wait()
            said += try worker.output()
            #expect(status == 0, "\(pages) pages: \(said)")
            let history = try HTTPCaller.call(manager.http, "GET", "/tasks/n\(pages)/history").body
            #expect(!history.contains(#""type":"failed""#), "\(pages) pages: \(history)")
            #expect(
                history.contains(#""type":"completed""#) || history.contains(#""reason":"returned""#),
                "\(pages) pages: \(history)\n\(said)")
            #expect(try LocalFileSystem().list(disk.path + "/.outbox/w") == ["lock"], "\(pages) pages")
        }
        #expect(said.contains("No space left on device"))
        try LocalFileSystem().remove(disk.path + "/filler")
        #expect(try work(["--exit-when-idle", "200ms"]).wait() == 0)
        #expect(try HTTPCaller.call(manager.http, "GET", "/status")["complete"] as? Int == 9)
        #expect(try LocalFileSystem().list(disk.path + "/.outbox/w") == ["lock"])
        #expect(manager.stop() == 0)
    }

    @Test(
        "new work is refused, running tasks end, and their rows come when there is room", arguments: ["tmpfs", "ext4"])
    func fills(kind: String) throws {
        guard let disk = try SmallDisk(kind) else {
            print("skipped: this machine does not let the test mount a \(kind) of its own (that takes root)")
            return
        }
        let data = disk.path + "/data"
        try LocalFileSystem().createDirectories(data)
        let manager = try RunningManager(data)
        func call(_ method: String, _ path: String, _ body: String? = nil) throws -> HTTPCaller.Answer {
            try HTTPCaller.call(manager.http, method, path, body)
        }
        func add(_ id: String) throws -> Int {
            let text = String(repeating: "x", count: 500_000)
            return try call("POST", "/tasks", #"{"task_id":"\#(id)","phase":"p","config":{"text":"\#(text)"}}"#).status
        }
        for id in ["a", "b"] {
            #expect(try add(id) == 200)
            #expect(try call("POST", "/claims", #"{"worker":"w"}"#).status == 200)
        }
        try disk.fill()
        // What is reserved already may still take a few.
        var status = 200
        for number in 0..<200 where status == 200 { status = try add("c\(number)") }
        #expect(status == 507)
        #expect(try call("GET", "/status").status == 200, "reads go on")
        #expect(try call("POST", "/tasks/a/complete", #"{"worker":"w","attempt":1,"result":{"acc":1}}"#).status == 200)
        try LocalFileSystem().remove(disk.path + "/filler")
        // ext4 gives freed blocks back with its next commit.
        #expect(try eventuallyBlocking { try add("d") == 200 })
        #expect(try call("POST", "/tasks/b/complete", #"{"worker":"w","attempt":1,"result":{"acc":2}}"#).status == 200)
        #expect(manager.stop() == 0)
        let rows = String(
            decoding: try readWholeFile(data + "/final_results.csv", on: LocalFileSystem()), as: UTF8.self)
        #expect(rows.split(separator: "\n").count == 3, "\(rows)")
        #expect(try VerbRun(["verify", "--data-dir", data]).status == 0)
    }

    @Test("a start after kill -9 on a full disk takes the room that the manager which ended had reserved")
    func startsInItsReservation() throws {
        guard let disk = try SmallDisk("ext4", mebibytes: 128) else {
            print("skipped: this machine does not let the test mount an ext4 of its own (that takes root)")
            return
        }
        let data = disk.path + "/data"
        try LocalFileSystem().createDirectories(data)
        let manager = try RunningManager(data)
        let body = #"{"task_id":"a","phase":"p","config":{}}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
        manager.kill()
        try disk.fill()
        let again = try RunningManager(data)
        #expect(
            try eventuallyBlocking(within: .seconds(30)) {
                try HTTPCaller.raw(again.http, "GET", "/readyz").status == 200
            })
        again.kill()
        #expect(try VerbRun(["verify", "--data-dir", data]).status == 0)
    }
}
