import Glibc
import SystemPackage

/// One pipe whose read end this process watches without blocking. Closed by whoever owns it.
struct OutputPipe: Sendable {
    /// Our end; it never blocks.
    let readEnd: FileDescriptor
    /// The other end; who hands it on also hands on its closing.
    let writeEnd: FileDescriptor

    /// Makes a pipe whose ends no child inherits unless it is given one. Throws where descriptors have run out.
    init() throws(Errno) {
        let ends = try FileDescriptor.pipe(options: .closeOnExec)
        readEnd = ends.readEnd
        writeEnd = ends.writeEnd
        Self.makeNonBlocking(readEnd)
    }

    /// Closes both ends; for the way out when nobody was given one.
    func closeBoth() {
        Self.close(readEnd)
        Self.close(writeEnd)
    }

    /// Makes reads (or writes) at this end return at once. The ends of a pipe do not share the flag.
    static func makeNonBlocking(_ end: FileDescriptor) {
        let flags = fcntl(end.rawValue, F_GETFL)
        let status = fcntl(end.rawValue, F_SETFL, flags | O_NONBLOCK)
        precondition(flags >= 0 && status == 0, "a fresh pipe refused O_NONBLOCK: \(Errno(rawValue: errno))")
    }

    /// Closes one end.
    static func close(_ end: FileDescriptor) {
        // Linux has given the number free even when close reports an error, and a pipe loses nothing by it.
        _ = Glibc.close(end.rawValue)
    }

    /// What a read found.
    enum Chunk {
        /// Some bytes.
        case bytes([UInt8])
        /// Nothing for now.
        case nothingYet
        /// All who could write have closed it.
        case end
    }

    /// Reads at most `count` bytes without waiting.
    static func read(_ end: FileDescriptor, atMostBytes count: Int = 64 << 10) -> Chunk {
        var bytes = [UInt8](repeating: 0, count: count)
        while true {
            let got = Glibc.read(end.rawValue, &bytes, count)
            if got > 0 { return .bytes(Array(bytes[..<got])) }
            if got == 0 { return .end }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .nothingYet : .end
        }
    }
}
