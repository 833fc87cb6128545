import EventLog
import Foundation
import TestSupport
import Testing

@Suite("A real small disk that fills")
struct FullDiskMountTests {
    /// A mounted file system of 48 MiB, which goes with the value.
    private final class SmallDisk {
        let path: String
        private let scratch: TemporaryDirectory

        /// Nil where this machine lets nobody mount.
        init?(_ kind: String) throws {
            scratch = try TemporaryDirectory()
            path = scratch.path + "/disk"
            try LocalFileSystem().createDirectories(path)
            let image = scratch.path + "/image"
            let commands =
                kind == "tmpfs"
                ? ["mount -t tmpfs -o size=48m none '\(path)'"]
                : ["truncate -s 48M '\(image)'", "mkfs.ext4 -q '\(image)'", "mount -o loop '\(image)' '\(path)'"]
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
        let client = try LineClient(port: manager.workers)
        func add(_ id: String) -> String? {
            client.ask(#"{"type":"add","tasks":[{"task_id":"\#(id)","phase":"p","config":{"x":1}}]}"#)
        }
        for id in ["a", "b"] { #expect(add(id)?.contains(#""added":1"#) == true) }
        for _ in 0..<2 {
            #expect(client.ask(#"{"type":"request_task","worker_id":"w"}"#)?.contains(#""task_id""#) == true)
        }
        try disk.fill()
        // What is reserved already may still take a few.
        var refused: String?
        for number in 0..<200 where refused?.contains("error") != true { refused = add("c\(number)") }
        #expect(refused?.contains("error") == true && refused?.contains("disk") == true, "\(refused ?? "nothing")")
        #expect(client.ask(#"{"type":"status"}"#)?.contains(#""total":"#) == true, "reads go on")
        let ended = client.ask(
            #"{"type":"task_complete","task_id":"a","worker_id":"w","result":{"acc":1}}"#)
        #expect(ended?.contains("error") == false, "\(ended ?? "nothing")")
        try LocalFileSystem().remove(disk.path + "/filler")
        #expect(add("d")?.contains(#""added":1"#) == true)
        _ = client.ask(#"{"type":"task_complete","task_id":"b","worker_id":"w","result":{"acc":2}}"#)
        #expect(manager.stop() == 0)
        let rows = String(
            decoding: try readWholeFile(data + "/final_results.csv", on: LocalFileSystem()), as: UTF8.self)
        #expect(rows.split(separator: "\n").count == 3, "\(rows)")
        #expect(try VerbRun(["verify", "--data-dir", data]).status == 0)
    }
}
