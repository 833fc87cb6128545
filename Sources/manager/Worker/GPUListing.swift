import Subprocess
import SystemPackage

/// The GPUs of this machine.
enum GPUListing {
    /// Their numbers with commas between, as `nvidia-smi` tells them. Throws a sentence where it is not there, fails, or
    /// finds none.
    static func all() async throws -> String {
        let way = "name them: --gpus 0,1"
        let answer: (status: TerminationStatus, output: String)
        do {
            let result = try await Subprocess.run(
                .name("nvidia-smi"), arguments: ["--query-gpu=index", "--format=csv,noheader"],
                output: .string(limit: 64 << 10), error: .discarded)
            answer = (result.terminationStatus, result.standardOutput)
        } catch { throw VerbFailure("--gpus all: nvidia-smi cannot be run here; \(way)", status: 1) }
        let numbers = answer.output.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } }
        guard answer.status == .exited(0), !numbers.isEmpty, numbers.allSatisfy({ Int($0) != nil }) else {
            throw VerbFailure("--gpus all: nvidia-smi names no GPUs (\(answer.status)); \(way)", status: 1)
        }
        return numbers.joined(separator: ",")
    }
}
