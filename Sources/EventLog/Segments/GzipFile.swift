/// Reads any gzip file from its beginning to its end: backups and baselines.
public enum GzipFile {
    /// Calls `body` with the inflated bytes, piece by piece; frames and their checksums are compared.
    /// Throws `.damage` where the file is no whole gzip file, `.file` where the disk refuses.
    public static func read(
        _ path: String, on fileSystem: any FileSystem, _ body: ([UInt8]) -> Void
    ) throws(JournalError) {
        let file: any File
        do { file = try fileSystem.open(path, .read) } catch { throw .file(error) }
        defer { file.close() }
        func damage(_ detail: String) -> JournalError {
            .damage(JournalDamage(kind: .copy, file: path, position: .zero, detail: detail))
        }
        let inflater = GzipInflater(checkingTrailers: true)
        var offset: Int64 = 0
        var isInside = false
        while true {
            let input: [UInt8]
            do { input = try readBytes(of: file, at: offset, count: 256 << 10) } catch { throw .file(error) }
            if input.isEmpty { break }
            offset += Int64(input.count)
            var taken = 0
            while taken < input.count {
                var made = 0
                var step = GzipInflater.Step.going
                let piece = [UInt8](unsafeUninitializedCapacity: 96 << 10) { buffer, filled in
                    step = input.withUnsafeBufferPointer {
                        inflater.step($0, taken: &taken, into: buffer, made: &made)
                    }
                    filled = made
                }
                if !piece.isEmpty { body(piece) }
                switch step {
                case .going: isInside = true
                case .memberEnd:
                    isInside = false
                    inflater.reset()
                case .corrupt(let words): throw damage("not gzip data: \(words)")
                }
            }
        }
        if isInside || offset == 0 { throw damage("the gzip data end inside a member") }
    }
}
