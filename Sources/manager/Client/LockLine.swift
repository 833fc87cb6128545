import EventLog
import Foundation
import Projections

/// The line in `journal/lock`: where the manager that runs on a directory is asked.
enum LockLine {
    /// The manager that runs on a directory; nil where none does, or none has an address yet. Its certificate, where it
    /// has one, is the one that it noted.
    static func manager(_ data: DataDirectory) -> NamedManager? {
        do {
            guard try data.fileSystem.metadata(data.lockFile) != nil else { return nil }
            let bytes = try readWholeFile(data.lockFile, on: data.fileSystem)
            var address: String?
            var certificate: String?
            try bytes.withUnsafeBufferPointer { buffer in
                var reader = JSONReader(buffer)
                try reader.object { key, reader throws(JSONError) in
                    switch key {
                    case "http": address = reader.takeNull() ? nil : try reader.string()
                    case "tls": certificate = reader.takeNull() ? nil : try reader.string()
                    default: try reader.skip()
                    }
                }
            }
            guard let address else { return nil }
            let token = ProcessInfo.processInfo.environment["MANAGER_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
            guard let certificate else { return NamedManager(url: "http://\(address)", token: token) }
            return NamedManager(
                url: "https://\(address)", token: token, trust: ServerTrust(pinned: certificate))
        } catch { return nil }  // no line that can be read: no manager to ask
    }

    /// What the manager of this process writes. `tls`: its certificate's path.
    static func text(http: String?, tcp: String?, tls: String? = nil) -> String {
        var out = Array("{\"pid\":\(getpid()),\"host\":".utf8)
        appendJSONString(hostName(), to: &out)
        out.append(contentsOf: ",\"started\":\"\(LogTime.now())\"".utf8)
        for (name, value) in [("http", http), ("tcp", tcp)] {
            out.append(contentsOf: ",\"\(name)\":".utf8)
            if let value { appendJSONString(value, to: &out) } else { out.append(contentsOf: "null".utf8) }
        }
        if let tls {
            out.append(contentsOf: ",\"tls\":".utf8)
            appendJSONString(tls, to: &out)
        }
        return String(decoding: out + [125], as: UTF8.self)
    }
}
