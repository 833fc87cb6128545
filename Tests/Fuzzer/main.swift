import CFuzzer
import Glibc

// fuzz TARGET [libFuzzer's options and directories]: drives one reader with inputs that reach ever more of it.
// `make fuzz` builds and runs it.

private let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")

guard CommandLine.arguments.count > 1, let target = FuzzTarget(rawValue: CommandLine.arguments[1]) else {
    print("fuzz TARGET [option or directory …]: the target is one of \(names)")
    exit(64)
}

/// The target of this run, for a callback that can carry nothing.
private nonisolated(unsafe) var chosen = target

private var words = ([CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)).map { strdup($0) }
private var count = Int32(words.count)
words.append(nil)
let status = words.withUnsafeMutableBufferPointer { buffer -> Int32 in
    var base = buffer.baseAddress
    return LLVMFuzzerRunDriver(&count, &base) { bytes, count in
        do { try chosen.run(Array(UnsafeBufferPointer(start: bytes, count: count))) } catch { fatalError("\(error)") }
        return 0
    }
}
exit(status)
