import EventLog
import Foundation
import Projections
import Synchronization

@testable import manager

/// The bytes of one connection: of the workers' port through a real socket, and as bodies of the calls that workers make.
enum ProtocolFuzzing {
    /// Connections that one manager serves; then the journal that they made is folded, and another manager begins.
    private static let connectionsEach = 500

    private struct Standing {
        var port: FuzzedPort?
        var served = 0
    }

    private static let standing = Mutex(Standing())

    static func run(_ bytes: [UInt8], way: UInt8) throws {
        readBodies(bytes)
        try standing.withLock { standing in
            let port = try standing.port ?? FuzzedPort()
            standing.port = port
            // Bit 0: the fast form. The other bits say how the bytes are cut into pieces.
            let isFast = way & 1 == 1 || bytes.first == 10
            let answers = try port.exchange((way & 1 == 1 ? [10] : []) + bytes, pieceBytes: Int(way >> 1) * 16 + 1)
            let lines = isFast ? answers.split(separator: 10) : answers.isEmpty ? [] : [answers[...]]
            for line in lines where !isJSON(line) {
                throw FuzzFinding("an answer is no JSON: \(String(decoding: line.prefix(200), as: UTF8.self))")
            }
            standing.served += 1
            guard standing.served == connectionsEach else { return }
            standing = Standing()
            try port.stop()
        }
    }

    /// What the strict readers take is JSON, and comes out as JSON.
    private static func readBodies(_ bytes: [UInt8]) {
        _ = try? ClaimBody(bytes, key: nil)
        if let report = try? ReportBody(bytes) {
            precondition(isJSON(bytes), "a body that is no JSON was taken")
            if let result = report.result { precondition(isJSON(result), "a result that is no JSON was taken") }
        }
        if let object = try? StrictJSON(object: bytes) {
            precondition((try? StrictJSON(object: object.compact))?.compact == object.compact, "compact is not stable")
        }
    }
}
