import Foundation
import TestSupport
import Testing

@testable import manager

/// Inputs under `Fixtures/fuzz`: those that once showed a fault, and a few to begin with.
@Suite("Inputs that a fuzzer made up", .serialized)
struct KnownInputTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "../../Fixtures/fuzz")

    @Test("are read without a fault", arguments: FuzzTarget.allCases)
    func known(target: FuzzTarget) async throws {
        let files = try FileManager.default.contentsOfDirectory(
            at: Self.folder.appending(path: target.rawValue), includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files.sorted(by: { $0.path < $1.path }) {
            let bytes = [UInt8](try Data(contentsOf: file))
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                // It waits for threads of the manager's: not on the pool's.
                DispatchQueue.global().async {
                    do { try target.run(bytes) } catch { Issue.record("\(file.lastPathComponent): \(error)") }
                    continuation.resume()
                }
            }
        }
    }
}
