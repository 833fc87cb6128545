import EventLog
import Foundation
import Projections

/// The journal's lock for a verb that needs it for itself.
enum HeldLock {
    /// Takes the lock and notes this process in it. Throws a sentence with the holder's process, host and address where
    /// a manager runs.
    static func take(_ data: DataDirectory, for verb: String) throws -> DirectoryLock {
        let lock: DirectoryLock
        do throws(JournalError) { lock = try DirectoryLock(data.journalPath, on: data.fileSystem) } catch {
            guard case .locked(_, let line) = error else { throw error }
            throw VerbFailure(
                "a manager is running on \(data.path) (\(Holder(line).description)): stop it first, '\(verb)' needs the "
                    + "journal for itself", status: 1)
        }
        do { try lock.describe(line()) } catch {
            lock.release()
            throw error
        }
        return lock
    }

    /// The line that a verb writes into the lock: it has no addresses.
    static func line() -> String {
        var host: [UInt8] = []
        appendJSONString(hostName(), to: &host)
        return
            "{\"pid\":\(getpid()),\"host\":\(String(decoding: host, as: UTF8.self)),\"started\":\"\(LogTime.now())\","
            + "\"http\":null,\"tcp\":null}"
    }

    /// Who holds a lock, by its line.
    struct Holder: CustomStringConvertible {
        private(set) var pid: Int64?
        private(set) var host: String?
        private(set) var http: String?
        private let line: String

        /// Reads a line; one that cannot be read is shown as it is.
        init(_ line: String) {
            self.line = line
            var (pid, host, http): (Int64?, String?, String?) = (nil, nil, nil)
            do {
                try Array(line.utf8).withUnsafeBufferPointer { buffer in
                    var reader = JSONReader(buffer)
                    try reader.object { key, reader throws(JSONError) in
                        switch key {
                        case "pid": pid = try reader.integer()
                        case "host": host = try reader.string()
                        case "http": http = reader.takeNull() ? nil : try reader.string()
                        default: try reader.skip()
                        }
                    }
                }
            } catch { (pid, host, http) = (nil, nil, nil) }  // half-written just now: the text itself is shown
            (self.pid, self.host, self.http) = (pid, host, http)
        }

        /// `pid 4711 on gpubox, http://127.0.0.1:5080`.
        var description: String {
            guard let pid else { return line.isEmpty ? "it has not said who it is yet" : line }
            return "pid \(pid)" + (host.map { " on \($0)" } ?? "") + (http.map { ", http://\($0)" } ?? "")
        }
    }
}
